"""Faults made with ip, bridge, nft and tc: the trace names the place, and where the kernel tells it, the reason.

Each fault is traced, judged with drop events by BPF and without them, and the lab is mended by ``up``.  What was recorded is
written to a folder where NETLAB_RECORDINGS names one: tests/pure/diagnose/recordings comes from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from netlab.diagnose.finding import Finding
from netlab.diagnose.findings import findings
from netlab.diagnose.sightings.correlate import FRAME, Event
from netlab.diagnose.sightings.identity import REPLY, REQUEST
from netlab.diagnose.story import Story, hops, tell
from netlab.evidence.records import COUNTERS, DROPS, Recording, to_json
from netlab.evidence.records import RULES as RULES_SEEN
from netlab.kernel.ebpf.drops import layout
from netlab.objects import NftTable
from netlab.observe.trace.record import Request, record
from netlab.runtime import lab as labs
from netlab.runtime.state import running
from netlab.runtime.state.rundir import Applied
from tests.conftest import RUN

pytestmark = pytest.mark.kernel

SPEC = Path(__file__).parent.parent.parent / "pure" / "diagnose" / "recordings" / "lab.yaml"
SERVER, CLIENT, GUARDED, WEB, EMPTY = "10.244.2.2", "10.244.1.2", "10.244.2.4", "10.96.0.80", "10.96.0.81"
VTEP = {"n1": "0a:03:00:01:00:00", "n2": "0a:03:00:02:00:00"}
PATIENCE = 0.4  # seconds; nothing of what is told here needs a second attempt
OUTER = {"n1": "172.18.0.2", "n2": "172.18.0.3"}
FIREWALL = "ip netns exec {%s} nft 'table %s fw {{ chain f {{ type filter hook %s priority 0; %s; }}; }}'"
NO_FIREWALL = "ip netns exec {%s} nft delete table %s fw"


def vxlan(
    where: str, *, vni: int = 1, port: int = 4789, lower: str = "dev eth0", mtu: int = 1450, extra: str = ""
) -> str:
    """vxlan0 of a node made anew, all that hangs on it included."""
    there = "n2" if where == "n1" else "n1"
    own, other = f"10.244.{where[1]}.0", f"10.244.{there[1]}.0"
    ip = f"ip -n {{{where}}}"
    return f"""
{ip} link del vxlan0
{ip} link add vxlan0 address {VTEP[where]} type vxlan id {vni} local {OUTER[where]} {lower} dstport {port} nolearning {extra}
{ip} addr add {own}/32 dev vxlan0
{ip} link set vxlan0 mtu {mtu} up
{ip} neigh replace {other} lladdr {VTEP[there]} dev vxlan0 nud permanent
bridge -n {{{where}}} fdb append {VTEP[there]} dev vxlan0 dst {OUTER[there]} self permanent
{ip} route add {other}/24 via {other} dev vxlan0 onlink"""


def pods_mtu(mtu: int) -> str:
    ends = (
        ("client", "eth0"),
        ("n1", "veth-client"),
        ("n1", "cni0"),
        ("server", "eth0"),
        ("n2", "veth-server"),
        ("n2", "cni0"),
    )
    return "\n".join(f"ip -n {{{netns}}} link set {dev} mtu {mtu}" for netns, dev in ends)


# Takes all the connections that a listening socket holds for whoever accepts, and accepts none.
FULL = """
import socket, time
held = socket.socket()
held.bind(("0.0.0.0", 8081))
held.listen(0)
callers = [socket.socket() for _ in range(3)]
for one in callers:
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", 8081))
time.sleep(0.2)
print("ready", flush=True)
time.sleep(60)
"""


@dataclass(frozen=True)
class Fault:
    """``lines`` make it, ``undo`` what ``up`` leaves alone.

    ``place`` is where the trace must look first, ``kind`` and ``reason`` what it must find with drop events ("": none
    comes), ``plain`` what it must find without them (``|``: either, where a bridge may flood or know the port), ``drift`` where netlab's own diff must lead ("": nowhere).
    """

    name: str
    lines: str
    place: str
    kind: str
    reason: str
    plain: str
    drift: str = ""
    undo: str = ""
    target: str = WEB
    port: int = 80
    protocol: str = "TCP"
    more: dict[str, Any] = field(default_factory=dict)
    hold: str = ""
    source: str = "client"

    def __str__(self) -> str:
        return self.name


BIG = {"protocol": "ICMP", "target": SERVER, "port": 0}
DIRECT = {"target": SERVER}
FAULTS = (
    Fault("route-missing-default-takes-it", "ip -n {n1} route del 10.244.2.0/24", "n1", "wrong-turn", "IP_INNOROUTES", "wrong-turn", "n1"),
    Fault("route-missing", "ip -n {n1} route del 10.244.2.0/24; ip -n {n1} route del default", "n1", "no-route", "IP_INNOROUTES", "icmp", "n1", **DIRECT),
    Fault("route-back-missing", "ip -n {n2} route del 10.244.1.0/24; ip -n {n2} route del default", "n2", "no-route", "IP_INNOROUTES", "icmp", "n2"),
    Fault("pod-without-default-route", "ip -n {client} route del default", "client", "never-left", "", "never-left", "client"),
    Fault("fdb-missing", "bridge -n {n1} fdb del 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.3", "n1", "no-fdb-entry", "NO_TX_TARGET", "link-dropped", "n1"),
    Fault("fdb-wrong-vtep", "bridge -n {n1} fdb del 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.3; bridge -n {n1} fdb append 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.99 self permanent", "n1", "no-neighbour", "", "no-neighbour", "n1"),
    Fault("vtep-neighbour-missing", "ip -n {n1} neigh del 10.244.2.0 dev vxlan0", "n1", "no-neighbour", "", "no-neighbour", "n1"),
    Fault("vtep-neighbour-wrong-no-fdb", "ip -n {n1} neigh replace 10.244.2.0 lladdr 02:00:00:00:00:99 dev vxlan0 nud permanent", "n1", "no-fdb-entry", "NO_TX_TARGET", "link-dropped", "n1"),
    Fault("vtep-neighbour-wrong", "ip -n {n1} neigh replace 10.244.2.0 lladdr 02:00:00:00:00:99 dev vxlan0 nud permanent; bridge -n {n1} fdb append 02:00:00:00:00:99 dev vxlan0 dst 172.18.0.3 self permanent", "n1", "wrong-mac", "OTHERHOST", "wrong-mac", "n1"),
    Fault("pod-answers-no-arp", "ip -n {n2} neigh del 10.244.2.2 dev cni0; ip -n {server} link set eth0 arp off", "n2", "no-neighbour", "", "no-neighbour", "n2"),
    Fault("server-port-detached-cold", "ip -n {n2} link set veth-server nomaster; ip -n {n2} neigh del 10.244.2.2 dev cni0", "n2", "no-neighbour", "", "no-neighbour", "n2"),
    Fault("server-port-detached-warm", "ip -n {n2} link set veth-server nomaster", "n2", "wrong-turn", "OTHERHOST", "wrong-turn", "n2"),
    Fault("client-port-detached-cold", "ip -n {n1} link set veth-client nomaster; ip -n {n1} neigh del 10.244.1.2 dev cni0", "n1", "port-detached", "OTHERHOST", "stopped", "n1"),
    Fault("client-port-detached-warm", "ip -n {n1} link set veth-client nomaster", "n1", "port-detached", "OTHERHOST", "stopped", "n1", **DIRECT),
    Fault("server-bridge-down", "ip -n {n2} link set cni0 down", "n2", "wrong-turn", "IP_INNOROUTES", "wrong-turn", "n2"),
    Fault("client-bridge-down", "ip -n {n1} link set cni0 down", "n1", "port-state", "BRIDGE_INGRESS_STP_STATE", "stopped", "n1"),
    Fault("server-veth-down", "ip -n {n2} link set veth-server down", "n2", "wrong-turn", "OTHERHOST", "wrong-turn", "n2"),
    Fault("forwarding-off-here", "ip netns exec {n1} sysctl -qw net.ipv4.ip_forward=0", "n1", "forwarding-off", "IP_INADDRERRORS", "not-forwarded", "n1"),
    Fault("forwarding-off-there", "ip netns exec {n2} sysctl -qw net.ipv4.ip_forward=0", "n2", "forwarding-off", "IP_INADDRERRORS", "not-forwarded", "n2"),
    Fault("reverse-path", "ip -n {n2} route replace 10.244.1.0/24 via 172.18.0.2 dev eth0; ip netns exec {n2} sysctl -qw net.ipv4.conf.all.rp_filter=1", "n2", "reverse-path", "IP_RPFILTER", "reverse-path", "n2"),
    Fault("underlay-drops-vxlan", FIREWALL % ("underlay", "bridge", "forward", 'udp dport 4789 drop comment "no tunnels"'), "underlay", "rule", "NETFILTER_DROP", "rule", undo=NO_FIREWALL % ("underlay", "bridge")),
    Fault("node-input-drops-vxlan", FIREWALL % ("n2", "inet", "input", "udp dport 4789 drop"), "n2", "rule", "NETFILTER_DROP", "rule", undo=NO_FIREWALL % ("n2", "inet")),
    Fault("node-output-drops-vxlan", FIREWALL % ("n1", "inet", "output", "udp dport 4789 drop"), "n1", "rule", "NETFILTER_DROP", "rule", undo=NO_FIREWALL % ("n1", "inet")),
    Fault("chain-policy-drops", "ip netns exec {n2} nft 'table ip filter {{ chain FORWARD {{ type filter hook forward priority 0; policy drop; }}; }}'", "n2", "rule", "NETFILTER_DROP", "rule", undo="ip netns exec {n2} nft delete table ip filter"),
    Fault("vni-differs", vxlan("n2", vni=200), "n2", "vni", "VXLAN_VNI_NOT_FOUND", "stopped", "n2"),
    Fault("vxlan-port-differs", vxlan("n2", port=8472), "n2", "no-vtep", "NO_SOCKET", "icmp", "n2"),
    Fault("vxlan-device-missing", "ip -n {n2} link del vxlan0", "n2", "no-vtep", "NO_SOCKET", "icmp", "n2"),
    Fault("pod-mtu-too-big", pods_mtu(1500), "n1", "mtu", "PKT_TOO_BIG", "icmp", "n1", more={"size": 1472, "df": True}, **BIG),
    Fault("black-hole", pods_mtu(1500) + "\n" + FIREWALL % ("n1", "inet", "output", "icmp type destination-unreachable drop"), "n1", "mtu", "PKT_TOO_BIG", "mtu", "n1", undo=NO_FIREWALL % ("n1", "inet"), more={"size": 1472, "df": True}, **BIG),
    Fault("overlay-mtu-too-big-df", vxlan("n1", lower="", mtu=1500, extra="df set") + vxlan("n2", lower="", mtu=1500, extra="df set") + "\n" + pods_mtu(1500), "n1", "mtu", "NOT_SPECIFIED", "icmp", "n1", more={"size": 1472, "df": True}, **BIG),
    Fault("underlay-port-mtu-too-small", "ip -n {underlay} link set node-2 mtu 1400", "underlay", "mtu", "NOT_SPECIFIED", "stopped", "underlay", more={"size": 1422, "df": True}, **BIG),
    Fault("gateway-is-nobody", "ip -n {client} route replace default via 10.244.1.99", "client", "no-neighbour", "", "no-neighbour", "client"),
    Fault("gateway-is-a-pod", "ip -n {client} route replace default via 10.244.1.3", "client", "wrong-turn", "IP_INADDRERRORS", "wrong-turn", "client", **DIRECT),
    Fault("address-twice-wrong-pod-refuses", "ip -n {spare} addr add 10.244.2.2/24 dev eth0; ip -n {n2} neigh replace 10.244.2.2 lladdr $(ip -n {spare} -br link show eth0 | awk '{{print $3}}') dev cni0 nud permanent", "n2", "wrong-turn|wrong-mac", "NO_SOCKET|OTHERHOST", "wrong-turn|wrong-mac", "n2", target=SERVER, port=81),
    Fault("address-of-client-twice", "ip -n {near} addr add 10.244.1.2/24 dev eth0; ip -n {n1} neigh replace 10.244.1.2 lladdr $(ip -n {near} -br link show eth0 | awk '{{print $3}}') dev cni0 nud permanent", "n1", "wrong-turn|wrong-mac", "NO_SOCKET|", "wrong-turn|wrong-mac", "n1"),
    Fault("policy", "", "n2", "policy", "NETFILTER_DROP", "policy", target=GUARDED),
    Fault("service-without-endpoints", "", "n1", "service", "NETFILTER_DROP", "service", target=EMPTY),
    Fault("service-without-that-port", "", "n1", "service", "NETFILTER_DROP", "service", port=8080),
    Fault("nobody-listens", "", "server", "no-listener", "NO_SOCKET", "reset", target=SERVER, port=8081),
    Fault("nobody-listens-udp", "", "server", "no-listener", "NO_SOCKET", "icmp", target=SERVER, port=8081, protocol="UDP"),
    Fault("accept-queue-full", "", "server", "queue-full", "", "queue-full", target=SERVER, port=8081, hold=FULL),
    Fault("queue-full", "tc -n {n1} qdisc add dev vxlan0 root tbf rate 8bit burst 1540 limit 60; ip netns exec {client} ping -c 20 -i 0.01 -W 0.01 10.244.2.2 >/dev/null || true", "n1", "queue", "QDISC_DROP", "stopped", "n1", undo="tc -n {n1} qdisc del dev vxlan0 root"),
    Fault("loop", "ip -n {n2} addr del 10.244.2.1/24 dev cni0; ip -n {n2} route replace 10.244.2.0/24 via 10.244.1.0 dev vxlan0 onlink", "n2", "wrong-turn", "IP_INHDR", "wrong-turn", "n2", **DIRECT),
    Fault("ttl-too-small", "ip netns exec {client} sysctl -qw net.ipv4.ip_default_ttl=2", "n2", "ttl", "IP_INHDR", "ttl", "client", undo="ip netns exec {client} sysctl -qw net.ipv4.ip_default_ttl=64", **DIRECT),
    Fault("nothing-translates", "ip netns exec {n1} nft 'table ip fw {{ chain f {{ type filter hook prerouting priority -300; notrack; }}; }}'", "n1", "foreign-rule", "IP_INNOROUTES", "foreign-rule", undo="ip netns exec {n1} nft delete table ip fw"),
    Fault("tunnel-checksum", "ip netns exec {underlay} nft 'table bridge fw {{ chain f {{ type filter hook forward priority 0; udp dport 4789 udp checksum set 0xdead; }}; }}'", "underlay", "foreign-rule", "UDP_CSUM", "foreign-rule", undo=NO_FIREWALL % ("underlay", "bridge"), **DIRECT),
    Fault("br-netfilter-off", "ip netns exec {n1} sysctl -qw net.bridge.bridge-nf-call-iptables=0", "n1", "wrong-source", "NO_SOCKET", "wrong-source", "n1", target="10.96.0.82"),
    Fault("hairpin-off", "bridge -n {n2} link set dev veth-server hairpin off", "n2", "no-port", "NOT_SPECIFIED", "stopped", "n2", source="server"),
    Fault("foreign-dnat", "ip netns exec {n1} nft 'table ip fw {{ chain p {{ type nat hook prerouting priority -150; ip daddr 10.96.0.80 dnat to 10.244.2.88; }}; }}'", "n1", "foreign-rule", "", "foreign-rule", undo=NO_FIREWALL % ("n1", "ip")),
    Fault("foreign-masquerade", "ip netns exec {n1} nft 'table ip fw {{ chain p {{ type nat hook postrouting priority 100; oifname vxlan0 masquerade; }}; }}'", "n1", "foreign-rule", "NETFILTER_DROP", "foreign-rule", undo=NO_FIREWALL % ("n1", "ip"), target=GUARDED, source="near"),
    Fault("services-table-gone", "ip netns exec {n1} nft delete table ip kube-proxy", "n1", "wrong-turn", "IP_INNOROUTES", "wrong-turn", "n1"),
    Fault("nobody-has-the-address", "", "n2", "no-neighbour", "", "no-neighbour", target="10.244.2.77"),
)  # fmt: skip


class Bed:
    """The lab that all faults are made in."""

    def __init__(self, name: str, text: str, spots: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._draft = Applied("/somewhere/lab.yaml", name, (("lab.yaml", text),))
        self.where = {short: f"{name}-{long}" for short, long in (_SHORT if spots is None else spots).items()}

    def up(self) -> None:
        labs.up(self._draft)

    def sh(self, lines: str) -> None:
        done = subprocess.run(["sh", "-ec", lines.format(**self.where)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{lines}\n{done.stderr}"

    def make(self, fault: Fault) -> None:
        self.sh(fault.lines or ":")

    def forget(self) -> None:
        """What the first packet left behind: the path MTU that an ICMP error told, neighbours that are being asked."""
        flush = "ip -n {%s} neigh flush nud incomplete nud failed"
        self.sh("ip -n {client} route flush cache\n" + "\n".join(flush % one for one in ("client", "n1", "n2")))

    def trace(self, fault: Fault, *without: str) -> tuple[Recording, Story]:
        lab = running.load_running(self.name)
        asked = Request(self.where[fault.source], fault.protocol, fault.target, fault.port, **fault.more)
        tables = {(table.netns, table.family, table.table) for table in lab.want.only(NftTable)}
        found = record(
            self.name, asked, sorted(lab.want.netns()), patience=PATIENCE, without=without, lab_tables=tables
        )
        return found, tell(found, lab.cluster, lab.want)


_SHORT = {"n1": "node-1", "n2": "node-2", "underlay": "underlay"} | {
    one: one for one in ("client", "near", "server", "spare", "guarded")
}


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    made = Bed(f"t{RUN}w{worker}faults", SPEC.read_text())
    made.up()
    try:
        yield made
    finally:
        labs.down(made.name)


@pytest.fixture
def fault(bed: Bed, request: pytest.FixtureRequest) -> Iterator[Fault]:
    """The fault, made; undone afterwards."""
    one: Fault = request.param
    holder = None
    try:
        if one.lines:
            bed.sh(one.lines)
        if one.hold:
            line = ["ip", "netns", "exec", bed.where["server"], sys.executable, "-c", one.hold]
            holder = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
        yield one
    finally:
        if holder is not None:
            holder.kill()
            holder.communicate()
        if one.undo:
            bed.sh(one.undo)
        bed.up()
        bed.forget()  # else the next fault's trace meets the questions that this one's packet still asks for


def shown(told: tuple[Finding, ...]) -> str:
    return "\n".join(
        f"[{one.kind}] {one.netns} {one.interface}: {one.message} ({one.reason} {one.function})" for one in told
    )


def given(reasons: list[str]) -> set[str]:
    """The reasons as this kernel gives them: an older one lacks some, and gives none there."""
    there = {*layout().reasons.values(), ""}
    return {reason if reason in there else "NOT_SPECIFIED" for reason in reasons}


@pytest.mark.parametrize("fault", FAULTS, ids=str, indirect=True)
def test_trace_names_place_and_reason(bed: Bed, fault: Fault) -> None:
    recording, story = bed.trace(fault)
    place = bed.where[fault.place]
    told = findings(story)
    if story.source(DROPS).on:
        assert told, story.recording.probe
        assert told[0].kind in fault.kind.split("|"), shown(told)
        assert told[0].netns == place, shown(told)
        reasons = [one.reason for one in told if one.reason]
        assert (reasons[0] if reasons else "") in given(fault.reason.split("|")), shown(told)
    # What a host without BPF has; test_faults_planes.py really traces without.
    off = tuple(replace(one, on=one.on and one.name != DROPS) for one in recording.sources)
    without = tell(replace(recording, sources=off, drops=()), story.cluster, story.want)
    plain = findings(without)
    assert plain, without.recording.probe
    assert plain[0].kind in fault.plain.split("|"), shown(plain)
    assert plain[0].netns == place, shown(plain)
    drift = labs.diff(bed.name)[1]
    causes = [one for one in findings(story, drift) if one.kind == "drift"]
    assert [one.netns for one in causes[:1]] == ([bed.where[fault.drift]] if fault.drift else []), shown(tuple(causes))
    keep(fault.name, bed, recording)


def keep(name: str, bed: Bed, recording: Recording) -> None:
    """Write a recording where one is wanted, under the name of the lab's own file."""
    if folder := os.environ.get("NETLAB_RECORDINGS"):
        text = json.dumps(to_json(recording), separators=(",", ":")).replace(f"{bed.name}-", "faults-")
        (Path(folder) / f"{name}.json").write_text(text.replace(f'"{bed.name}"', '"faults"') + "\n")


STRANGE = (
    Fault("overlay-mtu-too-big", vxlan("n1", lower="", mtu=1500) + vxlan("n2", lower="", mtu=1500) + "\n" + pods_mtu(1500), "n1", "fragmented", "", "", "n1", more={"size": 1472, "df": True}, **BIG),
    Fault("gateway-is-a-pod-service", "ip -n {client} route replace default via 10.244.1.3", "client", "detour", "", "", "client"),
)  # fmt: skip


@pytest.mark.parametrize("fault", STRANGE, ids=str, indirect=True)
def test_what_works_by_luck_is_told(bed: Bed, fault: Fault) -> None:
    recording, story = bed.trace(fault)
    assert recording.probe.outcome == "open"
    told = findings(story, labs.diff(bed.name)[1])
    kinds = [(one.kind, one.netns) for one in told]
    assert kinds[0] == ("drift", bed.where[fault.drift]), shown(told)
    assert (fault.kind, bed.where[fault.place]) in kinds, shown(told)
    keep(fault.name, bed, recording)


SIZES = {"pod-mtu-too-big": 1450, "underlay-port-mtu-too-small": 1400, "overlay-mtu-too-big": 1500}


@pytest.mark.parametrize("fault", [one for one in (*FAULTS, *STRANGE) if one.name in SIZES], ids=str, indirect=True)
def test_a_finding_about_size_has_the_mtu(bed: Bed, fault: Fault) -> None:
    _, story = bed.trace(fault)
    told = [one for one in findings(story) if one.kind in ("mtu", "fragmented")]
    assert str(SIZES[fault.name]) in told[0].message, shown(tuple(told))
    assert "or it is down" not in told[0].message, shown(tuple(told))


WELL = (
    Fault("well-service", "", "", "", "", ""),
    Fault("well-direct", "", "", "", "", "", target=SERVER),
    Fault("well-same-node", "", "", "", "", "", target="10.244.1.3"),
    Fault("well-ping", "", "", "", "", "", more={"size": 1000}, **BIG),
    Fault("well-itself", "", "", "", "", "", target=CLIENT),
)


@pytest.mark.parametrize("asked", WELL, ids=str)
def test_nothing_is_found_where_all_is_well(bed: Bed, asked: Fault) -> None:
    recording, story = bed.trace(asked)
    assert story.arrived
    assert story.answered
    assert (story.request_left, story.reply_left) == (None, None)
    assert findings(story, labs.diff(bed.name)[1]) == ()
    keep(asked.name, bed, recording)


def test_a_packet_that_is_cut_goes_its_way(bed: Bed) -> None:
    """A node puts fragments together at its bridge, to judge them, and cuts them again: still the same packet."""
    recording, story = bed.trace(Fault("", "", "", "", "", "", more={"size": 1450}, **BIG))
    assert (story.request_left, story.reply_left) == (None, None)
    assert [(one.kind, one.netns) for one in findings(story)] == [("fragmented", bed.where["client"])]
    keep("ping-in-fragments", bed, recording)


def test_600_packets_in_true_hop_order(bed: Bed) -> None:
    """Every packet of a connection passes the same interfaces in the same order, there and back."""
    asked = Fault("", "", "", "", "", "")
    packets = 0
    while packets < 600:
        _, story = bed.trace(asked, DROPS, COUNTERS, RULES_SEEN)
        seen: dict[int, list[Event]] = {}
        for event in story.events:
            if event.kind == FRAME and event.role in (REQUEST, REPLY):
                seen.setdefault(event.number, []).append(event)
        for frames in seen.values():
            way = story.round_trip.request if frames[0].role == REQUEST else story.round_trip.reply
            assert way is not None
            # Under way when the trace ended: the part that was seen must be in order all the same.
            found = [hop for hop in hops(frames, story.topology) if hop in way.hops]
            assert found == list(way.hops[: len(found)]), (found, way.hops)
            packets += len(found) == len(way.hops)
