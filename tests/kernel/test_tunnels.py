"""Geneve, IPIP and WireGuard between nodes: faults that somebody makes are seen and mended, and no packet is cut."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyroute2
import pytest

from netlab.kernel.host import netns as ns
from netlab.kernel.host import wireguard
from netlab.kernel.linux import LinuxKernel
from netlab.kernel.neighbours import KernelNeighbours
from netlab.model import Cluster
from netlab.objects import Op, State, Verb, diff
from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime import lab as labs
from netlab.runtime.converge import converge
from netlab.runtime.state import running
from tests.kernel.conftest import Kit
from tests.kernel_features import families_of, planes

pytestmark = pytest.mark.kernel

PODS = [("client", "node-1"), ("server", "node-2"), ("third", "node-3")]
NODES = ["node-1", "node-2", "node-3"]
# What somebody types in node-2 ({2}) or node-1 ({1}), and the kind of the object that then differs.
FAULTS: dict[str, tuple[tuple[str, str], ...]] = {
    "geneve": (
        ("ip -n {2} link del geneve.1", "geneve"),
        ("ip -n {1} link set geneve.2 mtu 1500", "geneve"),
        ("ip -n {1} link set geneve.2 down", "geneve"),
        ("ip -n {1} link set geneve.2 address 0a:00:00:00:00:01", "geneve"),
        ("ip -n {1} link del geneve.2; ip -n {1} link add geneve.2 type geneve id 9 remote 172.18.0.3", "geneve"),
        ("ip -n {1} neigh del 10.244.2.0 dev geneve.2", "neigh"),
        ("ip -n {1} route del 10.244.2.0/24", "route"),
    ),
    "ipip": (
        ("ip -n {2} link del flannel.ipip", "ipip"),
        ("ip -n {1} link set flannel.ipip mtu 1500", "ipip"),
        ("ip -n {1} link set flannel.ipip down", "ipip"),
        ("ip -n {1} link set flannel.ipip type ipip local 172.18.0.2 ttl 1", "ipip"),
        ("ip -n {1} route replace 10.244.2.0/24 via 172.18.0.4 dev flannel.ipip onlink", "route"),
    ),
    "calico-ipip": (
        ("ip -n {1} link set tunl0 mtu 1500", "ipip"),
        ("ip -n {1} link set tunl0 down", "ipip"),
        ("ip -n {1} addr del 10.244.1.0/32 dev tunl0", "addr"),
        ("ip -n {1} route replace 10.244.2.0/26 via 172.18.0.4 dev tunl0 proto bird onlink", "route"),
    ),
    "wireguard": (
        ("ip -n {2} link del flannel-wg", "wireguard"),
        ("ip -n {1} link set flannel-wg mtu 1500", "wireguard"),
        ("ip -n {1} link set flannel-wg down", "wireguard"),
        ("ip -n {1} route del 10.244.0.0/16", "route"),
    ),
}


@pytest.mark.parametrize("plane", planes(among=FAULTS))
def test_what_somebody_breaks_is_seen_and_mended(kit: Any, lab: str, plane: str) -> None:
    text = kit.spec(lab, PODS, NODES, dataplane=plane, ipFamilies=list(families_of(plane)))
    cluster, want = kit.cluster(text), kit.want(text)
    places = {"1": f"{lab}-node-1", "2": f"{lab}-node-2"}
    with LinuxKernel() as kernel:
        try:
            converge(kernel, lab, want)
            assert drift(kernel, lab, want) == []
            everybody_answers(kit, lab, cluster)
            for line, kind in FAULTS[plane]:
                kit.sh(typed(line, places))
                assert kind in kinds(drift(kernel, lab, want)), line
                converge(kernel, lab, want, want)
                assert drift(kernel, lab, want) == [], line
                everybody_answers(kit, lab, cluster)
            for node in NODES:
                counted = kit.sh(f"ip netns exec {lab}-{node} nstat -asz IpFragCreates Ip6FragCreates | grep -c ' 0 '")
                assert counted.strip() == "2", "a node cut the packets of its tunnel"
        finally:
            converge(kernel, lab, State(), want)


def typed(line: str, places: dict[str, str]) -> str:
    for place, netns in places.items():
        line = line.replace(f"{{{place}}}", netns)
    return line


def drift(kernel: LinuxKernel, lab: str, want: State) -> list[Op]:
    return list(diff(want, kernel.observe(lab, want).state))


def kinds(ops: list[Op]) -> set[str]:
    return {op.obj.kind for op in ops}


def everybody_answers(
    kit: Any, lab: str, cluster: Cluster, sources: Sequence[str] = ("client", "server", "third", "node-1", "node-3")
) -> None:
    for pod in cluster.pods:
        for address in pod.addresses:
            for source in sources:
                size = cluster.pod_mtu - (28 if address.version == 4 else 48)
                assert kit.ping(f"{lab}-{source}", str(address.ip), "-M", "do", "-s", str(size)), (source, str(address))


class Killed(BaseException):
    """As by a signal."""


class Dying(LinuxKernel):
    """A kernel whose caller dies after some operations of each ``apply``."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def apply(self, ops: Iterable[Op]) -> None:
        super().apply(tuple(ops)[: self.left])
        raise Killed


@pytest.mark.parametrize("plane", planes(among=FAULTS))
def test_a_lab_whose_making_was_killed_is_made_by_the_next_up_and_leaves_nothing(
    kit: Any, lab: str, plane: str
) -> None:
    text = kit.spec(lab, PODS, NODES, dataplane=plane, ipFamilies=list(families_of(plane)))
    want = kit.want(text)
    count = len(diff(want, State()))
    with LinuxKernel() as kernel:
        for left in (count // 4, count // 2, count - 5):
            try:
                with Dying(left) as dying, pytest.raises(Killed):
                    converge(dying, lab, want)
                converge(kernel, lab, want, want)
                assert drift(kernel, lab, want) == [], left
                everybody_answers(kit, lab, kit.cluster(text), sources=("client",))
            finally:
                converge(kernel, lab, State(), want)
            assert not kit.remains(lab)


@pytest.mark.parametrize("plane", planes(among=FAULTS))
def test_services_and_policies_of_both_directions_hold_across_racks(kit: Any, lab: str, plane: str) -> None:
    """Node ports of both policies, node addresses, a host outside; nothing that the kernel learned is drift."""
    families = list(families_of(plane))
    kit.up(racks(lab, plane, families))
    cluster = running.load_cluster(lab)
    nodes = ["node/node-1", "node/node-2"]
    sources = ["web", "a", "b", "external/internet", *nodes]
    asked = dict.fromkeys(
        (
            *flows(cluster, sources=sources, targets=["web", "a", "svc/cluster", "svc/local"]),
            *flows(cluster, sources=sources, targets=nodes, ports=["30080", "30081"]),
        )
    )
    predicted = Predictor(cluster).answer(asked)
    with KernelNeighbours() as neighbours:
        seen = {one.flow: one for one in probed(Prober(cluster, neighbours=neighbours), cluster, asked)}
        doubted = [flow for flow in asked if not agree(predicted[flow], seen[flow])]
        patient = Prober(cluster, neighbours=neighbours, timeout=(5.0, 10.0))  # a guest without KVM is slow
        seen |= {one.flow: one for one in probed(patient, cluster, doubted)}
    wrong = [f"{flow}: {predicted[flow]}, by packets {seen[flow]}" for flow in doubted
             if not agree(predicted[flow], seen[flow])]  # fmt: skip
    assert not wrong, "\n".join(wrong)
    outcomes = {
        (one.flow.src.name, one.flow.dst.name, str(one.outcome)) for one in seen.values() if one.flow.port in (80, 8080)
    }
    assert {("default/a", "default/web", "open"), ("default/b", "default/web", "denied"),
            ("default/web", "default/a", "denied")} <= outcomes  # fmt: skip
    assert not labs.diff(lab)[1].operations


def racks(lab: str, plane: str, families: list[str]) -> str:
    """Two nodes in two racks; web admits a alone and may reach nobody."""
    outside = {"IPv4": "203.0.113.9", "IPv6": "2001:db8::9"}
    spec: dict[str, Any] = {
        "underlay": {"kind": "routed", "learnsPodRoutes": True},
        "external": [{"name": "internet", "addresses": [outside[family] for family in families]}],
        "dns": "off",
    }
    text: str = Kit.spec(lab, [("web", "node-1"), ("a", "node-2"), ("b", "node-2")], dataplane=plane,
                         ipFamilies=families, **spec).replace('{"name": "node-1"}', '{"name": "node-1", "rack": "ra"}')  # fmt: skip
    service = {"type": "NodePort", "selector": {"app": "web"}, "ipFamilyPolicy": "PreferDualStack"}
    port = {"port": 8080, "targetPort": 80}
    peer = {"podSelector": {"matchLabels": {"app": "a"}}}
    everybody = [
        {"ipBlock": {"cidr": cidr}} for cidr in ("172.16.0.0/12", "203.0.113.0/24", "2000::/3", "fd00:172:18::/48")
    ]
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress", "Egress"],
              "ingress": [{"from": [peer, *everybody]}]}  # fmt: skip
    more = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cluster"},
         "spec": service | {"ports": [port | {"nodePort": 30080}]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "local"},
         "spec": service | {"externalTrafficPolicy": "Local", "ports": [port | {"nodePort": 30081}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": policy},
    ]  # fmt: skip
    text = text.replace('{"name": "node-2"}', '{"name": "node-2", "rack": "rb"}')
    return "\n---\n".join([text, *map(json.dumps, more)])


@pytest.mark.needs("ipip")
def test_a_fallback_device_is_drift_while_it_is_up_and_goes_down_with_its_data_plane(kit: Any, lab: str) -> None:
    node = f"{lab}-node-1"
    want, before = (kit.want(kit.spec(lab, PODS, NODES, dataplane=plane)) for plane in ("calico-bgp", "calico-ipip"))
    with LinuxKernel() as kernel:
        try:
            converge(kernel, lab, before)
            assert drift(kernel, lab, before) == []
            converge(kernel, lab, want, before)
            assert drift(kernel, lab, want) == []
            assert "inet" not in kit.sh(f"ip -n {node} addr show tunl0"), "nobody can remove the device"
            kit.sh(f"ip -n {node} addr add 192.0.2.1/32 dev tunl0; ip -n {node} link set tunl0 up")
            foreign = drift(kernel, lab, want)
            assert [op.obj.kind for op in foreign] == ["addr", "ipip"]
            for op in foreign:
                kit.sh(op.explain())
            assert drift(kernel, lab, want) == [], "the lines that diff prints undo it"
        finally:
            converge(kernel, lab, State(), want)


@pytest.mark.needs("wireguard")
def test_keys_and_peers_that_somebody_changes_are_mended(kit: Any, lab: str) -> None:
    text = kit.spec(lab, PODS, NODES, dataplane="wireguard")
    cluster, want = kit.cluster(text), kit.want(text)
    with LinuxKernel() as kernel:
        try:
            converge(kernel, lab, want)
            before = public(f"{lab}-node-2")
            assert len(before) == 32
            assert before != public(f"{lab}-node-1"), "each node has a key of its own"

            configure(f"{lab}-node-2", private_key=base64.b64encode(bytes(range(32))).decode())
            changes = drift(kernel, lab, want)
            assert {(op.verb, op.obj.netns) for op in changes} == {
                (verb, f"{lab}-{node}") for verb in (Verb.DELETE, Verb.CREATE) for node in ("node-1", "node-3")
            }
            mended(kit, kernel, lab, want, cluster)

            add_peer(f"{lab}-node-1", bytes(range(1, 33)), "192.0.2.1", 1, "10.244.2.0/25")
            assert [op.verb for op in drift(kernel, lab, want)] == [Verb.DELETE]
            mended(kit, kernel, lab, want, cluster)

            add_peer(f"{lab}-node-1", public(f"{lab}-node-2"), "172.18.0.4", 51820, "10.244.9.0/24")
            changes = drift(kernel, lab, want)
            assert [(op.verb, op.obj.netns) for op in changes] == [(Verb.UPDATE, f"{lab}-node-1")]
            mended(kit, kernel, lab, want, cluster)

            configure(f"{lab}-node-1", listen_port=51999)
            assert "wireguard" in kinds(drift(kernel, lab, want))
            mended(kit, kernel, lab, want, cluster)
        finally:
            converge(kernel, lab, State(), want)


def configure(netns: str, **settings: Any) -> None:
    """Change the device as ``wg set`` does, by pyroute2."""

    def change() -> None:
        with pyroute2.WireGuard() as wg:
            wg.set("flannel-wg", **settings)

    ns.call(netns, change)


def add_peer(netns: str, key: bytes, address: str, port: int, *allowed: str) -> None:
    """Add or change a peer, without its other networks."""
    peer = {
        "public_key": base64.b64encode(key).decode(),
        "endpoint_addr": address,
        "endpoint_port": port,
        "replace_allowed_ips": True,
        "allowed_ips": allowed,
    }
    configure(netns, peer=peer)


def public(netns: str) -> bytes:
    return ns.call(netns, lambda: wireguard.read("flannel-wg").public)


def mended(kit: Any, kernel: LinuxKernel, lab: str, want: State, cluster: Cluster) -> None:
    converge(kernel, lab, want, want)
    assert drift(kernel, lab, want) == []
    everybody_answers(kit, lab, cluster)
