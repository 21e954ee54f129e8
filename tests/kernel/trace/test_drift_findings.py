"""Drift on the packet's path is the first finding, and the command printed with it mends the lab."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.diagnose.finding import Finding
from netlab.diagnose.findings import findings
from netlab.diagnose.story import Story
from netlab.evidence.records import DROPS
from netlab.runtime import lab as labs
from tests.kernel.trace.conftest import Lab, pod
from tests.kernel.trace.test_faults import SERVER, Bed, Fault, bed, shown

__all__ = ["bed"]
pytestmark = pytest.mark.kernel
NEAR = "10.244.1.3"


def drifted(
    name: str, place: str, says: str, lines: str, *, target: str = SERVER, port: int = 80, **more: Any
) -> Fault:
    """``says`` is a part of the first finding."""
    return Fault(name, lines, place, says, "", "", target=target, port=port, **more)


TABLE = "ip -n {%s} rule add %s lookup 77 pref 500\nip -n {%s} route add %s table 77"
BPF = "tc -n {%s} qdisc add dev %s clsact\ntc -n {%s} filter add dev %s %s bpf da bytecode '1,6 0 0 2'"

DRIFT = (
    drifted("rule-for-the-reply", "n2", "rule pref 500 from 10.244.2.2/32 lookup 77", TABLE % ("n2", "from 10.244.2.2", "n2", "blackhole 10.244.1.0/24")),
    drifted("rule-for-the-tunnel", "n1", "rule pref 500 to 172.18.0.3/32 lookup 77", TABLE % ("n1", "to 172.18.0.3", "n1", "unreachable default")),
    drifted("rule-by-interface", "n2", "rule pref 900 to 10.244.2.2/32 iif vxlan0 prohibit", "ip -n {n2} rule add iif vxlan0 to 10.244.2.2/32 prohibit pref 900"),
    drifted("rule-in-the-pod", "client", "rule pref 500 to 10.244.2.0/24 lookup 77", TABLE % ("client", "to 10.244.2.0/24", "client", "default via 10.244.1.99 dev eth0")),
    drifted("program-at-a-port", "n2", "qdisc veth-server clsact", BPF % ("n2", "veth-server", "n2", "veth-server", "egress")),
    drifted("program-at-the-bridge", "n1", "qdisc cni0 clsact", BPF % ("n1", "cni0", "n1", "cni0", "ingress")),
    drifted("bridge-of-a-bridged-packet-down", "n1", "bridge cni0", "ip -n {n1} link set cni0 down", target=NEAR),
    drifted("ports-isolated", "n1", "isolated is on", "ip -n {n1} link set veth-near type bridge_slave isolated on\nip -n {n1} link set veth-client type bridge_slave isolated on", target=NEAR),
    drifted("ipsec-policy", "n2", "xfrm policy", "ip -n {n2} xfrm policy add src 10.244.1.0/24 dst 10.244.2.0/24 dir fwd action block"),
    drifted("address-of-the-target-elsewhere", "n1", "addr lo 10.244.2.2/32", "ip -n {n1} addr add 10.244.2.2/32 dev lo", port=81),
)  # fmt: skip


@pytest.fixture
def drift(bed: Bed, request: pytest.FixtureRequest) -> Iterator[Fault]:
    fault: Fault = request.param
    made = subprocess.run(["sh", "-ec", fault.lines.format(**bed.where)], capture_output=True, text=True, check=False)
    try:
        if made.returncode:
            pytest.skip(f"this kernel cannot: {made.stderr.strip()}")
        bed.forget()
        yield fault
    finally:
        bed.up()
        bed.forget()


def told(bed: Bed, story: Story) -> tuple[Finding, ...]:
    return findings(story, labs.diff(bed.name)[1])


@pytest.mark.parametrize("without", [(), (DROPS,)], ids=["all", "without-drops"])
@pytest.mark.parametrize("drift", DRIFT, ids=str, indirect=True)
def test_drift_on_the_path_is_the_first_finding_and_its_command_mends(
    bed: Bed, drift: Fault, without: tuple[str, ...]
) -> None:
    _, story = bed.trace(drift, *without)
    found = told(bed, story)
    assert found, story.recording.probe
    assert (found[0].kind, found[0].netns) == ("drift", bed.where[drift.place]), shown(found)
    assert drift.kind in found[0].message, shown(found)
    for each in found:
        for line in each.mend if each.kind == "drift" else ():
            subprocess.run(["sh", "-c", line], check=True)
    bed.forget()
    recording, story = bed.trace(drift)
    after = told(bed, story)
    assert not [each for each in after if each.kind == "drift"], shown(after)
    assert recording.probe.outcome == ("open" if drift.port == 80 else "refused"), shown(after)


def test_the_spanning_tree_is_named_before_the_port_that_it_blocks(bed: Bed) -> None:
    lines = "ip -n {n1} link set veth-near down\nip -n {n1} link set cni0 type bridge stp_state 1 forward_delay 3000\n"
    try:
        bed.sh(lines + "ip -n {n1} link set veth-near up")
        _, story = bed.trace(drifted("", "n1", "", "", target=NEAR))
        found = told(bed, story)
        assert "stp_state is 1" in found[0].message, shown(found)
        assert found[0].mend == (f"ip -n {bed.where['n1']} link set dev cni0 type bridge stp_state 0",)
        assert not [each for each in found if "state 3" in " ".join(each.mend)], shown(found)
    finally:
        bed.up()
        bed.forget()


def test_a_mark_its_rule_and_its_route_are_all_named(bed: Bed) -> None:
    lines = """
ip -n {n1} rule add fwmark 7 lookup 79 pref 502
ip -n {n1} route add default via 172.18.0.88 dev eth0 table 79
ip netns exec {n1} nft 'table ip odd {{ chain c {{ type filter hook prerouting priority -150; ip daddr 10.244.2.2 meta mark set 7; }}; }}'
"""
    try:
        bed.sh(lines)
        _, story = bed.trace(drifted("", "n1", "", ""))
        found = told(bed, story)
        assert "rule pref 502 fwmark 0x7 lookup 79" in found[0].message, shown(found)
        assert "which sends it to table 79" in found[0].message
        assert "route 0.0.0.0/0 table 79" in found[1].message
        assert [each.netns for each in found if each.kind == "foreign-rule"] == [bed.where["n1"]]
    finally:
        bed.sh("ip netns exec {n1} nft delete table ip odd")
        bed.up()
        bed.forget()


def test_drift_off_the_path_is_not_named(bed: Bed) -> None:
    lines = """
ip -n {n1} rule add to 10.99.0.0/16 lookup 77 pref 500
ip -n {n1} route add default via 172.18.0.99 dev eth0 table 77
ip -n {near} route add blackhole 10.55.0.0/16
ip -n {n2} rule add to 10.77.0.0/16 prohibit
ip netns exec {near} sysctl -qw net.ipv4.conf.eth0.rp_filter=2
ip -n {n2} link set veth-guarded down
ip -n {n1} route del 10.244.2.0/24
"""
    try:
        bed.sh(lines)
        _, story = bed.trace(drifted("", "n1", "", ""))
        causes = [each.message for each in told(bed, story) if each.kind == "drift"]
        assert len(causes) == 1, causes
        assert "missing, and this packet needed it: route 10.244.2.0/24" in causes[0]
    finally:
        bed.up()
        bed.forget()


def test_a_renamed_interface_is_called_by_its_name(bed: Bed) -> None:
    """The packet arrives; nothing is said of the bridge, which did send it to the right port."""
    lines = (
        "ip -n {server} link set eth0 down\nip -n {server} link set eth0 name lan0\nip -n {server} link set lan0 up\n"
    )
    try:
        bed.sh(lines + "ip -n {server} route add default via 10.244.2.1")
        recording, story = bed.trace(drifted("", "server", "", ""))
        assert recording.probe.outcome == "open"
        found = told(bed, story)
        assert "name is lan0, should be eth0" in found[0].message, shown(found)
        assert any(
            f"the other end of veth-server is lan0 of {bed.where['server']}" in each.message for each in found
        ), shown(found)
        assert not any("does not send MAC" in each.message for each in found), shown(found)
    finally:
        bed.up()
        bed.forget()


def test_a_cable_that_ends_elsewhere_is_not_blamed_on_the_bridge(bed: Bed) -> None:
    lines = "ip -n {server} link set eth0 down\nip -n {server} link set eth0 netns {spare} name eth9\n"
    try:
        bed.sh(lines + "ip -n {spare} link set eth9 up")
        found = told(bed, bed.trace(drifted("", "server", "", ""))[1])
        assert f"netns is {bed.where['spare']}" in found[0].message, shown(found)
        assert "does not send MAC" not in shown(found)
    finally:
        bed.up()
        bed.forget()


def test_a_frame_that_is_flooded_came_by_a_port(bed: Bed) -> None:
    """A bridge that lost the entry of its own MAC floods frames for it."""
    try:
        bed.sh("bridge -n {n2} fdb flush dev cni0")
        _, story = bed.trace(drifted("", "n2", "", ""))
        found = told(bed, story)
        assert any("does not take its own MAC" in each.message for each in found), shown(found)
        assert not any("is not handled as a port" in each.message for each in found), shown(found)
    finally:
        bed.sh(
            "M=$(ip -n {n2} -br link show cni0 | awk '{{print $3}}'); ip -n {n2} link set cni0 address 02:00:00:00:00:01; ip -n {n2} link set cni0 address $M"
        )
        bed.up()
        bed.forget()


@pytest.mark.parametrize(
    ("plane", "line", "target"),
    [
        ("host-gw", "ip -n {} route replace 10.244.2.0/24 via 172.18.0.4", "-4"),
        ("host-gw", "ip -6 -n {} route replace fd00:10:244:2::/64 via fd00:172:18::4", "-6"),
        ("vxlan", "ip -n {} route add 172.18.0.3/32 via 172.18.0.4", "-4"),
        ("vxlan", "ip -n {} route replace 10.244.2.0/24 via 10.244.3.0 dev vxlan0 onlink", "-4"),
    ],
    ids=["routed", "routed-6", "tunnel", "in-the-tunnel"],
)
def test_a_detour_by_a_router_off_the_path_is_found_though_all_expected_hops_were_seen(
    lab: Lab, plane: str, line: str, target: str
) -> None:
    nodes = [{"name": f"node-{number}"} for number in (1, 2, 3)]
    lab.up(pod("client", "node-1"), pod("server", "node-2"), nodes=nodes, dataplane=plane, ipFamilies=["IPv4", "IPv6"])
    assert json.loads(lab.netlab("trace", "client", "server", target, "-o", "json").stdout)["findings"] == []
    subprocess.run(line.format(f"{lab.name}-node-1").split(), check=True)
    document = json.loads(lab.netlab("trace", "client", "server", target, "-o", "json").stdout)
    assert document["outcome"] == "open"
    assert [(each["kind"], each["netns"]) for each in document["findings"]] == [
        ("drift", f"{lab.name}-node-1"),
        ("detour", f"{lab.name}-node-1"),
    ]
