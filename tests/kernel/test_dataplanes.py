"""Every data plane as ip and bridge print it, packets of exactly its MTU, and two labs of the same addresses.

The printed lines are those of real nodes, as the sources of flannel, Calico, kind and Weave program them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.objects import State
from netlab.planes import ROWS
from netlab.runtime.converge import converge
from tests.kernel_features import planes, with_needs
from tests.tables import part

pytestmark = pytest.mark.kernel

# Bytes of encapsulation in labs of IPv4, of IPv6, of both: 14 + 20 (IPv6: 40) + 8 + 8.  vxlan's one device goes over the
# first family; flannel and Calico have one a family, and Pods get the smaller MTU.  Weave: its own 1376 on 1500.
OVERHEADS = {
    "bridge": (0, 0, 0),
    "vxlan": (50, 70, 50),
    "host-gw": (0, 0, 0),
    "flannel-vxlan": (50, 70, 70),
    "calico-bgp": (0, 0, 0),
    "calico-vxlan": (50, 70, 70),
    "kindnet": (0, 0, 0),
    "weave": (124, 144, 124),
    "geneve": (50, 70, 50),
    "ipip": (20, 0, 0),
    "calico-ipip": (20, 0, 0),
    "wireguard": (80, 80, 80),
}
FAMILIES = [["IPv4"], ["IPv6"], ["IPv4", "IPv6"]]
HEADERS = {4: 28, 6: 48}  # IP and ICMP
PODS = [("client", "node-1"), ("near", "node-1"), ("server", "node-2")]


class Up:
    """A lab without an agent."""

    def __init__(self, kit: Any, lab: str, text: str) -> None:
        self.kit, self.lab, self.cluster, self.want = kit, lab, kit.cluster(text), kit.want(text)

    def address(self, pod: str, version: int = 4) -> str:
        one = next(each for each in self.cluster.pods if each.name == pod)
        return next(str(each.ip) for each in one.addresses if each.version == version)

    def lines(self, netns: str, line: str) -> list[str]:
        """A command's output without doubled blanks; the namespace's links of Pods are called by their Pod."""
        text: str = self.kit.sh(line.replace("NETNS", f"{self.lab}-{netns}"))
        for link in json.loads(self.kit.sh(f"ip -n {self.lab}-{netns} -j link")):
            for other in link.get("altnames", ()):
                text = re.sub(rf"\b{link['ifname']}\b", f"<{other.removeprefix('pod-default-')}>", text)
        return [" ".join(one.split()) for one in text.splitlines()]


@contextmanager
def running(kit: Any, lab: str, **spec: Any) -> Iterator[Up]:
    up = Up(kit, lab, kit.spec(lab, PODS, **spec))
    with LinuxKernel() as kernel:
        converge(kernel, lab, up.want)
    try:
        yield up
    finally:
        with LinuxKernel() as kernel:
            converge(kernel, lab, State(), up.want)


@pytest.mark.parametrize(
    ("dataplane", "families"),
    part(
        (
            with_needs(name, name, families)
            for name in OVERHEADS
            for families in FAMILIES
            if set(families) <= set(ROWS[name].families)
        ),
        lambda name, _: name,
    ),
    ids=lambda one: one if isinstance(one, str) else "+".join(one),
)
def test_packets_of_exactly_the_mtu(kit: Any, lab: str, dataplane: str, families: list[str]) -> None:
    overhead = OVERHEADS[dataplane][FAMILIES.index(families)]
    with running(kit, lab, dataplane=dataplane, ipFamilies=families) as up:
        mtu = 1500 - overhead
        for pod in ("client", "server"):
            assert f"mtu {mtu} " in kit.sh(f"ip -n {lab}-{pod} link show eth0")
        targets = ["near"] if dataplane == "bridge" else ["near", "server"]
        for version in (int(family[-1]) for family in families):
            fits = mtu - HEADERS[version]
            for target in (up.address(one, version) for one in targets):
                assert kit.ping(f"{lab}-client", target, "-M", "do", "-s", str(fits)), (target, fits)
                assert not kit.ping(f"{lab}-client", target, "-W", "0.1", "-M", "do", "-s", str(fits + 1)), target
                assert kit.ping(f"{lab}-client", target, "-s", str(fits + 1)), "larger ones go in fragments"


@pytest.mark.parametrize("dataplane", planes(among=OVERHEADS))
def test_two_labs_with_the_same_addresses_do_not_see_each_other(kit: Any, lab: str, dataplane: str) -> None:
    with running(kit, lab, dataplane=dataplane) as one, running(kit, f"{lab}-x", dataplane=dataplane) as other:
        assert one.address("near") == other.address("near")
        kit.sh(f"ip -n {lab}-x-near link set eth0 down; ip -n {lab}-x-server link set eth0 down")
        for target in ["near"] if dataplane == "bridge" else ["near", "server"]:
            assert kit.ping(f"{lab}-client", one.address(target))
            assert not kit.ping(f"{lab}-x-client", other.address(target), "-W", "0.2")
        # Nor by name or MAC: what the one has learned and knows is all of the one.
        for netns in (f"{lab}-node-1", f"{lab}-x-node-1"):
            assert "FAILED" not in kit.sh(f"ip -n {netns} neigh") or netns.startswith(f"{lab}-x")


# -- as ip and bridge print them --------------------------------------------------------------------------------------

ROUTES = {
    "bridge": ["10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1"],
    "vxlan": [
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
        "10.244.2.0/24 via 10.244.2.0 dev vxlan0 onlink",
    ],
    "host-gw": [
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
        "10.244.2.0/24 via 172.18.0.3 dev eth0",
    ],
    "flannel-vxlan": [
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
        "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ],
    "calico-bgp": [
        "blackhole 10.244.1.0/26 proto bird",
        "10.244.1.2 dev <client> scope link",
        "10.244.1.3 dev <near> scope link",
        "10.244.2.0/26 via 172.18.0.3 dev eth0 proto bird",
    ],
    "calico-vxlan": [
        "blackhole 10.244.1.0/26 proto 80",
        "10.244.1.2 dev <client> scope link",
        "10.244.1.3 dev <near> scope link",
        "10.244.2.0/26 via 10.244.2.0 dev vxlan.calico proto 80 onlink",
    ],
    "kindnet": [
        "10.244.1.2 dev <client> scope host",
        "10.244.1.3 dev <near> scope host",
        "10.244.2.0/24 via 172.18.0.3 dev eth0",
    ],
    "weave": ["10.32.0.0/12 dev weave proto kernel scope link src 10.32.1.1"],
    "geneve": [
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
        "10.244.2.0/24 via 10.244.2.0 dev geneve.2 onlink",
    ],
    "ipip": [
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
        "10.244.2.0/24 via 172.18.0.3 dev flannel.ipip onlink",
    ],
    "calico-ipip": [
        "blackhole 10.244.1.0/26 proto bird",
        "10.244.1.2 dev <client> scope link",
        "10.244.1.3 dev <near> scope link",
        "10.244.2.0/26 via 172.18.0.3 dev tunl0 proto bird onlink",
    ],
    "wireguard": [
        "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
        "10.244.0.0/16 dev flannel-wg scope link",
    ],
}
BRIDGED = [
    "default via 10.244.1.1 dev eth0",
    "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2",
]
FLANNEL = [BRIDGED[0], "10.244.0.0/16 via 10.244.1.1 dev eth0", BRIDGED[1]]
CALICO = ["default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link"]
POD_ROUTES = {
    "bridge": BRIDGED,
    "vxlan": BRIDGED,
    "host-gw": BRIDGED,
    "flannel-vxlan": FLANNEL,
    "geneve": BRIDGED,
    "ipip": FLANNEL,
    "wireguard": FLANNEL,
    "calico-ipip": CALICO,
    "calico-bgp": CALICO,
    "calico-vxlan": CALICO,
    "kindnet": [
        "default via 10.244.1.1 dev eth0",
        "10.244.1.0/24 via 10.244.1.1 dev eth0 src 10.244.1.2",
        "10.244.1.1 dev eth0 scope link src 10.244.1.2",
    ],
    "weave": ["default via 10.32.1.1 dev eth0", "10.32.0.0/12 dev eth0 proto kernel scope link src 10.32.1.2"],
}
# Device, its address, what `ip -d link` says of it, the neighbour and the forwarding entry for node-2.
TUNNELS = {
    "vxlan": ("vxlan0", "10.244.1.0/32", "vxlan id 1 local 172.18.0.2 dev eth0 srcport 0 0 dstport 4789 nolearning"),
    "flannel-vxlan": (
        "flannel.1",
        "10.244.1.0/32",
        "vxlan id 1 local 172.18.0.2 dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 udpcsum",
    ),
    "calico-vxlan": (
        "vxlan.calico",
        "10.244.1.0/32",
        "vxlan id 4096 local 172.18.0.2 dev eth0 srcport 0 0 dstport 4789 nolearning",
    ),
}
PORT = "hairpin on guard off root_block off fastleave off learning on flood on"


@pytest.mark.parametrize("dataplane", planes(among=ROUTES))
def test_routes_read_like_those_of_a_real_node(kit: Any, lab: str, dataplane: str) -> None:
    with running(kit, lab, dataplane=dataplane) as up:
        common = ["default via 172.18.0.1 dev eth0", "172.18.0.0/24 dev eth0 proto kernel scope link src 172.18.0.2"]
        assert sorted(up.lines("node-1", "ip -n NETNS route")) == sorted([*common, *ROUTES[dataplane]])
        assert sorted(up.lines("client", "ip -n NETNS route")) == sorted(POD_ROUTES[dataplane])


@pytest.mark.parametrize("dataplane", TUNNELS)
def test_tunnels_read_like_those_of_a_real_node(kit: Any, lab: str, dataplane: str) -> None:
    device, address, details = TUNNELS[dataplane]
    with running(kit, lab, dataplane=dataplane) as up:
        assert details in " ".join(up.lines("node-1", f"ip -n NETNS -d link show {device}"))
        (shown,) = json.loads(kit.sh(f"ip -n {lab}-node-1 -j addr show {device}"))
        assert [f"{one['local']}/{one['prefixlen']}" for one in shown["addr_info"]] == [address]
        assert shown["mtu"] == 1450
        (there,) = json.loads(kit.sh(f"ip -n {lab}-node-2 -j link show {device}"))
        mac = there["address"]
        assert up.lines("node-1", f"ip -n NETNS neigh show dev {device}") == [f"10.244.2.0 lladdr {mac} PERMANENT"]
        assert up.lines("node-1", f"bridge -n NETNS fdb show dev {device}") == [f"{mac} dst 172.18.0.3 self permanent"]
        if dataplane == "calico-vxlan":
            # 66 and the first five bytes of the SHA-1 of the node's name.
            assert mac == "66:" + kit.sh("printf node-2 | sha1sum | cut -c1-10 | sed 's/../&:/g;s/:$//'").strip()


@pytest.mark.parametrize("dataplane", ["bridge", "vxlan", "host-gw", "flannel-vxlan"])
def test_cni0_and_its_ports_read_like_those_of_a_real_node(kit: Any, lab: str, dataplane: str) -> None:
    with running(kit, lab, dataplane=dataplane) as up:
        (cni0,) = json.loads(kit.sh(f"ip -n {lab}-node-1 -d -j addr show cni0"))
        assert [one["local"] for one in cni0["addr_info"]] == ["10.244.1.1"]
        assert (cni0["linkinfo"]["info_data"]["stp_state"], cni0["linkinfo"]["info_data"]["vlan_filtering"]) == (0, 0)
        # A MAC of its own: one that follows the ports' would leave Pods with stale neighbours.
        assert kit.sh(f"ip netns exec {lab}-node-1 cat /sys/class/net/cni0/addr_assign_type") == "3\n"
        ports = up.lines("node-1", "bridge -n NETNS -d link show")
        assert sum("master cni0 state forwarding" in line for line in ports) == 2
        assert sum(PORT in line for line in ports) == 2


@pytest.mark.parametrize("dataplane", ["calico-bgp", "calico-vxlan"])
def test_calicos_veth_reads_like_that_of_a_real_node(kit: Any, lab: str, dataplane: str) -> None:
    with running(kit, lab, dataplane=dataplane) as up:
        name = "cali" + kit.sh("printf default.client | sha1sum | cut -c1-11").strip()
        (link,) = json.loads(kit.sh(f"ip -n {lab}-node-1 -j addr show {name}"))
        assert link["address"] == "ee:ee:ee:ee:ee:ee"
        assert [one for one in link["addr_info"] if one["family"] == "inet"] == []
        assert "169.254.1.1 lladdr ee:ee:ee:ee:ee:ee PERMANENT" in up.lines("client", "ip -n NETNS neigh show dev eth0")
        for name_, value in {"proxy_arp": 1, "route_localnet": 1, "forwarding": 1}.items():
            line = f"ip netns exec {lab}-node-1 sysctl -n net.ipv4.conf.{name}.{name_}"
            assert kit.sh(line) == f"{value}\n"
        # The gateway that nobody has answers by proxy ARP, also without the permanent entry.
        kit.sh(f"ip -n {lab}-client neigh del 169.254.1.1 dev eth0")
        assert kit.ping(f"{lab}-client", up.address("server"))


def test_weave_is_one_segment(kit: Any, lab: str) -> None:
    with running(kit, lab, dataplane="weave") as up:
        said = " ".join(up.lines("node-1", "ip -n NETNS -d link show vxlan-6784"))
        assert "dstport 6784" in said
        assert "master weave" in said
        assert " learning" in said or "nolearning" not in said
        assert kit.ping(f"{lab}-client", up.address("server"))
        fdb = up.lines("node-1", "bridge -n NETNS fdb show dev vxlan-6784")
        assert "00:00:00:00:00:00 dst 172.18.0.3 self permanent" in fdb
        (server,) = json.loads(kit.sh(f"ip -n {lab}-server -j link show eth0"))
        assert any(line.startswith(server["address"]) and "dst 172.18.0.3" in line for line in fdb), "it is learned"
        said = kit.sh(f"ip netns exec {lab}-client ping -n -c 1 -W 1 {up.address('server')}")
        assert "ttl=64" in said, "Pods of two nodes are neighbours: nobody routes"


def test_kindnets_veths_all_have_the_gateways_address(kit: Any, lab: str) -> None:
    with running(kit, lab, dataplane="kindnet"):
        found = json.loads(kit.sh(f"ip -n {lab}-node-1 -j addr show type veth"))
        mine = {one["ifname"]: [each["local"] for each in one["addr_info"]] for one in found}
        assert sorted(addresses for name, addresses in mine.items() if name != "eth0") == [["10.244.1.1"]] * 2
        assert all(re.fullmatch("veth[0-9a-f]{8}", name) for name in mine if name != "eth0")
        assert "bridge" not in kit.sh(f"ip -n {lab}-node-1 -d link")
