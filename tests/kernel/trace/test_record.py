"""What a trace records, by real packets: on every data plane, in both families, by every protocol."""

from __future__ import annotations

import pytest

from netlab.evidence.records import Recording
from tests.kernel.trace.conftest import WEB, Lab, Tables, only_from, pod, service

pytestmark = pytest.mark.kernel
DATAPLANES = ("vxlan", "flannel-vxlan", "host-gw", "calico-bgp", "calico-vxlan", "kindnet", "weave")


def on(recording: Recording) -> dict[str, bool]:
    return {one.name: one.on for one in recording.sources}


def verdicts(recording: Recording) -> set[str]:
    """What the comments of the rules say that judged the packet with a verdict of their own."""
    comments = {(one.netns, one.family, one.table, one.handle): one.comment for one in recording.rules}
    found = {(one.netns, one.family, one.table, one.handle) for one in recording.rules_seen if one.handle}
    return {comments[key] for key in found if comments.get(key)}


@pytest.mark.parametrize("dataplane", DATAPLANES)
def test_a_packet_and_its_answer_are_seen_at_both_ends(lab: Lab, dataplane: str, trace_tables: Tables) -> None:
    lab.up(
        pod("client", "node-1"),
        pod("web-1", "node-2", app="web"),
        service("web", WEB),
        only_from("client", "web"),
        dataplane=dataplane,
        ipFamilies=["IPv4", "IPv6"],
    )
    pairs = [
        (version, target) for version in (4, 6) for target in ("web-1:80", "web:8080", "web-1:5353/UDP", "web:53/UDP")
    ]
    pairs += [(4, "web-1:0"), (6, "web-1:0")]
    for version, target in pairs:
        icmp = target.endswith(":0")
        found = lab.trace("client", target.removesuffix(":0"), version=version, icmp=icmp)
        what = f"{dataplane} IPv{version} {target}"
        assert found.probe.outcome == "open", f"{what}: {found.probe}"
        assert all(on(found).values()), found.sources
        assert not any(one.lost for one in found.sources)
        for place, direction in (("client", "out"), ("web-1", "in"), ("web-1", "out"), ("client", "in")):
            assert lab.seen(found, place, "eth0", direction), f"{what}: not seen {direction} at {place}"
        order = [(one.netns, one.direction) for one in found.frames if one.netns.endswith(("-client", "-web-1"))]
        first = [order.index((f"{lab.name}-{place}", way)) for place, way in (("client", "out"), ("web-1", "in"))]
        assert first == sorted(first), what
        assert any("netpol:" in one for one in verdicts(found)), f"{what}: {verdicts(found)}"
        if "8080" in target or "53/UDP" in target:
            assert any(one.table == "kube-proxy" and one.verdict == "accept" for one in found.rules_seen), what
        assert found.probe.local and (icmp or found.probe.local_port)
    assert trace_tables(lab) == {}
