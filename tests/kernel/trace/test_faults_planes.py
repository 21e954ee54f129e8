"""Faults on other data planes, in both families: routed Pods, proxy ARP, one flat segment, direct routing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.diagnose.findings import findings
from netlab.evidence.records import DROPS
from netlab.runtime import lab as labs
from tests.conftest import RUN
from tests.kernel.trace.test_faults import FIREWALL, NO_FIREWALL, Bed, Fault, shown

pytestmark = pytest.mark.kernel

SPOTS = {"n1": "node-1", "n2": "node-2", "underlay": "underlay", "client": "client", "server": "server"}
CLIENT_VETH, SERVER_VETH = "calia7a3e029a7b", "cali7715d358f22"  # cali and the SHA-1 of default.client, default.server
FOUR, SIX, WEAVE = "10.244.2.2", "fd00:10:244:2::2", "10.32.2.2"
SIX_FORWARDING = "ip netns exec {n2} sysctl -qw net.ipv6.conf.all.forwarding=0"
SOLICITED = "icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} drop"
REFUSES = "ip -n {n1} route replace %s 10.244.2.0/24"

PLANES: dict[str, tuple[dict[str, Any], tuple[Fault, ...]]] = {
    "calico": (
        {"dataplane": "calico-vxlan", "ipFamilies": ["IPv4", "IPv6"]},
        (
            Fault("proxy-arp-off", f"ip -n {{client}} neigh del 169.254.1.1 dev eth0; ip netns exec {{n1}} sysctl -qw net.ipv4.conf.{CLIENT_VETH}.proxy_arp=0", "client", "no-neighbour", "", "no-neighbour", "client", target=FOUR),
            Fault("pod-route-missing", "ip -n {n2} route del 10.244.2.2/32", "n2", "no-route", "NOT_SPECIFIED", "stopped", "n2", target=FOUR),
            Fault("pod-link-down", "ip -n {server} link set eth0 down", "n2", "link-down", "QDISC_DROP", "stopped", "n2", target=FOUR),
            Fault("forwarding-off-ipv6", SIX_FORWARDING, "n2", "forwarding-off", "IP_INADDRERRORS", "not-forwarded", "n2", target=SIX),
            Fault("route-missing-ipv6", "ip -6 -n {n1} route del fd00:10:244:2::/122", "n1", "wrong-turn", "IP_INNOROUTES", "wrong-turn", "n1", target=SIX),
            Fault("address-missing-ipv6", "ip -6 -n {server} addr flush dev eth0 scope global", "server", "wrong-turn", "IP_INADDRERRORS", "not-forwarded", "server", target=SIX),
            Fault("discovery-filtered", "ip -6 -n {n1} neigh flush dev eth0; " + FIREWALL % ("n2", "ip6", "input", SOLICITED), "n1", "no-neighbour", "", "no-neighbour", target=SIX, undo=NO_FIREWALL % ("n2", "ip6")),
        ),
    ),
    "direct": (
        {"dataplane": "host-gw"},
        (
            Fault("next-hop-is-nobody", "ip -n {n1} route replace 10.244.2.0/24 via 172.18.0.77 dev eth0", "n1", "no-neighbour", "", "no-neighbour", "n1", target=FOUR),
            Fault("next-hop-is-the-router", "ip -n {n1} route replace 10.244.2.0/24 via 172.18.0.1 dev eth0", "n1", "wrong-turn", "IP_INNOROUTES", "wrong-turn", "n1", target=FOUR),
            Fault("blackhole", REFUSES % "blackhole", "n1", "no-route", "NOT_SPECIFIED", "stopped", "n1", target=FOUR),
            Fault("prohibited", REFUSES % "prohibit", "n1", "no-route", "NOT_SPECIFIED", "icmp", "n1", target=FOUR),
            Fault("rule-of-routing", "ip -n {n1} rule add pref 10 to 10.244.2.0/24 blackhole", "n1", "no-route", "NOT_SPECIFIED", "stopped", "n1", undo="ip -n {n1} rule del pref 10", target=FOUR),
        ),
    ),
    "spoof-guard": (
        {"dataplane": "host-gw", "underlay": {"dropForeignSources": True}},
        (Fault("source-is-no-node", "", "underlay", "rule", "NETFILTER_DROP", "rule", target=FOUR),),
    ),
    "reject": (
        {"dataplane": "vxlan", "policy": {"deny": "reject"}},
        (Fault("policy-resets-on-the-way", "", "n2", "policy", "NETFILTER_DROP", "policy", target=FOUR),),
    ),
    "weave": (
        {"dataplane": "weave"},
        (
            Fault("flood-entry-missing", "bridge -n {n1} fdb del 00:00:00:00:00:00 dev vxlan-6784 dst 172.18.0.3; ip -n {client} neigh flush dev eth0", "client", "no-neighbour", "", "no-neighbour", "n1", target=WEAVE),
        ),
    ),
    "bridge": (
        {"dataplane": "bridge"},
        (Fault("no-way-to-other-nodes", "", "underlay", "rule", "NETFILTER_DROP", "rule", target=FOUR),),
    ),
}  # fmt: skip


CLOSED = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "closed"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
}


def text(name: str, spec: dict[str, Any]) -> str:
    nodes = [{"name": "node-1"}, {"name": "node-2"}]
    head = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": name}, "spec": {"nodes": nodes, **spec}}
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "main", "image": "x", "ports": [{"containerPort": 80}]}],
            },
        }
        for pod, node in (("client", "node-1"), ("server", "node-2"))
    ]
    return "\n---\n".join(json.dumps(one) for one in (head, *pods, *([CLOSED] if "policy" in spec else [])))


@pytest.fixture(scope="module", params=PLANES)
def plane(request: pytest.FixtureRequest) -> Iterator[tuple[Bed, tuple[Fault, ...]]]:
    spec, faults = PLANES[request.param]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    name = f"t{RUN}w{worker}p{list(PLANES).index(request.param)}"
    bed = Bed(name, text(name, spec), SPOTS)
    bed.up()
    try:
        yield bed, faults
    finally:
        labs.down(name)


def test_faults_of_a_data_plane(plane: tuple[Bed, tuple[Fault, ...]]) -> None:
    bed, faults = plane
    for fault in faults:
        try:
            bed.make(fault)
            _, story = bed.trace(fault)
            bed.forget()
            _, without = bed.trace(fault, DROPS)
            drift = labs.diff(bed.name)[1]
        finally:
            if fault.undo:
                bed.sh(fault.undo)
            bed.up()
        place = bed.where[fault.place]
        plain = findings(without)
        assert plain, (fault.name, without.recording.probe)
        assert plain[0].kind in fault.plain.split("|"), (fault.name, shown(plain))
        assert plain[0].netns == place, (fault.name, shown(plain))
        told = findings(story)
        if story.source(DROPS).on:
            assert (told[0].kind, told[0].netns) == (fault.kind, place), (fault.name, shown(told))
            assert [one.reason for one in told if one.reason][:1] == ([fault.reason] if fault.reason else []), (
                fault.name
            )
        causes = [one for one in findings(story, drift) if one.kind == "drift"]
        assert [one.netns for one in causes[:1]] == ([bed.where[fault.drift]] if fault.drift else []), (
            fault.name,
            shown(tuple(causes)),
        )
