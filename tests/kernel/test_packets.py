"""Real packets: who reaches whom, with which TTL, up to which size."""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.kernel.rtnetlink import link
from netlab.kernel.rtnetlink.socket import NetlinkSocket
from netlab.objects import State
from netlab.planes import ROWS
from netlab.runtime.converge import converge
from tests.kernel_features import with_needs
from tests.tables import part

pytestmark = pytest.mark.kernel

PODS = [("client", "node-1"), ("near", "node-1"), ("server", "node-2")]
HEADERS = {4: 28, 6: 48}  # IP and ICMP


class Up:
    """A lab without an agent."""

    def __init__(self, kit: Any, lab: str, **spec: Any) -> None:
        text = kit.spec(lab, PODS, **spec)
        self.kit, self.lab, self.cluster, self.want = kit, lab, kit.cluster(text), kit.want(text)

    def __enter__(self) -> Up:
        with LinuxKernel() as kernel:
            converge(kernel, self.lab, self.want)
        return self

    def __exit__(self, *_: object) -> None:
        with LinuxKernel() as kernel:
            converge(kernel, self.lab, State(), self.want)

    def address(self, pod: str, version: int) -> str:
        one = next(each for each in self.cluster.pods if each.name == pod)
        return next(str(each.ip) for each in one.addresses if each.version == version)

    def ttl(self, source: str, address: str, *options: str) -> int | None:
        line = f"ip netns exec {self.lab}-{source} ping -n -c 1 -W 1 {' '.join(options)} {address}"
        said = self.kit.sh(line, check=False)
        found = re.search(r"ttl=(\d+)", said)
        return int(found[1]) if found else None


@pytest.mark.parametrize(
    ("dataplane", "families"),
    part(
        itertools.product(["bridge", "vxlan", "host-gw"], [["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]]),
        lambda _, families: str(families),
    ),
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_who_reaches_whom_and_how_large_a_packet(kit: Any, lab: str, dataplane: str, families: list[str]) -> None:
    mtu = 1500 if len(families) == 1 else 1400
    overhead = 0
    if dataplane == "vxlan":
        overhead = 50 if families[0] == "IPv4" else 70
    with Up(kit, lab, dataplane=dataplane, ipFamilies=families, mtu=mtu) as up:
        for family in families:
            version = int(family[-1])
            near, server = up.address("near", version), up.address("server", version)
            node = next(str(one.ip) for one in up.cluster.nodes[0].addresses if one.version == version)
            # At once, with the first packet: nothing is still settling when up returns.
            if dataplane == "bridge":
                assert up.ttl("client", server, "-W", "0.2") is None
                assert up.ttl("node-1", server, "-W", "0.2") is None
            else:
                assert up.ttl("client", server) == 62
                assert up.ttl("node-1", server) == 63
            assert up.ttl("client", near) == 64
            assert up.ttl("client", node) == 64
            assert up.ttl("node-1", near) == 64
            fits = mtu - overhead - HEADERS[version]
            for target in [near] if dataplane == "bridge" else [near, server]:
                assert kit.ping(f"{lab}-client", target, "-M", "do", "-s", str(fits))
                assert not kit.ping(f"{lab}-client", target, "-W", "0.1", "-M", "do", "-s", str(fits + 1))
                assert kit.ping(f"{lab}-client", target, "-s", str(fits + 1)), "larger ones go in fragments"


@pytest.mark.parametrize(
    ("dataplane", "families"),
    part(
        (
            with_needs(name, name, families)
            for name, row in ROWS.items()
            for families in (["IPv4"], ["IPv4", "IPv6"])
            if name not in ("bridge", "vxlan", "host-gw") and set(families) <= set(row.families)
        ),
        lambda name, _: name,
    ),
)
def test_every_data_plane_carries_what_it_says(kit: Any, lab: str, dataplane: str, families: list[str]) -> None:
    with Up(kit, lab, dataplane=dataplane, ipFamilies=families) as up:
        for family in families:
            version = int(family[-1])
            fits = 1500 - up.cluster.overhead - HEADERS[version]
            for pod in ("near", "server"):
                target = up.address(pod, version)
                assert up.ttl("client", target) is not None
                assert kit.ping(f"{lab}-client", target, "-M", "do", "-s", str(fits))
                assert not kit.ping(f"{lab}-client", target, "-W", "0.1", "-M", "do", "-s", str(fits + 1))
        for node in ("node-1", "node-2"):
            counters = kit.sh(f"ip netns exec {lab}-{node} nstat -asz IpFragCreates Ip6FragCreates")
            assert re.findall(r"FragCreates +(\d+)", counters) == ["0", "0"], "a node cut the tunnel's packet"


def test_a_link_carries_packets_when_up_returns(kit: Any, lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy kernel enables a bridge's port some time after the port is up: the first packets of a lab were dropped."""
    settled, late = link.settled, []

    def delayed(sock: NetlinkSocket, index: int) -> bool:
        state = settled(sock, index)  # each link is asked about once more, as if its kernel were late
        late.append((sock.fileno(), index))
        return state and late.count(late[-1]) > 1

    monkeypatch.setattr(link, "settled", delayed)
    with Up(kit, lab) as up:
        assert set(late) and all(late.count(each) == 2 for each in late)
        assert not up.kit.sh(f"bridge -n {lab}-node-1 link | grep -v 'state forwarding' || true")
        assert kit.ping(f"{lab}-client", up.address("server", 4))


def test_an_ipv4_lab_says_nothing_in_ipv6(kit: Any, lab: str) -> None:
    with Up(kit, lab) as up:
        time.sleep(1.2)  # router solicitations are delayed by up to a second
        for netns in sorted(up.want.netns()):
            sent = kit.sh(f"ip netns exec {netns} cat /proc/net/snmp6")
            said = dict(re.findall(r"(Icmp6Out\w+)\s+(\d+)\n", sent))
            assert (said["Icmp6OutRouterSolicits"], said["Icmp6OutNeighborSolicits"]) == ("0", "0"), netns
            # A bridge that snoops multicast reports that it does, as on any node; nobody else speaks.
            assert netns.endswith(("-underlay", "-node-1", "-node-2")) or said["Icmp6OutMsgs"] == "0", netns
            assert not kit.sh(f"ip -n {netns} -6 addr show scope link")


def test_a_dual_stack_lab_settles_at_once(kit: Any, lab: str) -> None:
    with Up(kit, lab, ipFamilies=["IPv6", "IPv4"]) as up:
        for netns in sorted(up.want.netns()):
            assert not kit.sh(f"ip -n {netns} -6 addr show tentative")


def test_errors_come_every_time(kit: Any, lab: str) -> None:
    """The kernel limits ICMP errors; labs do not, so that the same fault gives the same answer each time."""
    with Up(kit, lab):
        kit.sh(f"ip -n {lab}-node-1 route add unreachable 10.99.0.0/16")
        for _ in range(5):
            said = kit.sh(f"ip netns exec {lab}-client ping -n -c 1 -W 1 10.99.0.1", check=False)
            assert "Unreachable" in said


def test_two_labs_of_one_spec_do_not_see_each_other(kit: Any, lab: str) -> None:
    with Up(kit, lab) as one, Up(kit, f"{lab}-x") as other:
        kit.sh(f"ip -n {lab}-x-server link set eth0 down")
        assert one.ttl("client", one.address("server", 4)) == 62
        assert other.ttl("client", other.address("server", 4)) is None


def test_captures_show_packets_of_wire_size(kit: Any, lab: str) -> None:
    """Offloads are off: no segment is larger than the path, not even inside the node."""
    with Up(kit, lab):
        for netns, dev in ((f"{lab}-client", "eth0"), (f"{lab}-node-1", "cni0"), (f"{lab}-node-1", "vxlan0")):
            said = kit.sh(f"ip netns exec {netns} ethtool -k {dev}")
            for feature in ("tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload"):
                assert f"{feature}: off" in said, (dev, feature)
