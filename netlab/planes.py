"""The data planes' traits: a row each, on the lowest floor, for every floor that must know how a plane behaves.

A new data plane is a row here, the file of its name in ``plan/dataplanes``, and a golden file.  No other module
knows a plane's name: the schema's enum, the MTU of Pods, the oracle's predictions and the words of a trace follow from
the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import Enum
from types import MappingProxyType

from netlab.values import dataclass

# kind's and kubeadm's defaults, which are what most clusters that people look at have.
_POOL = MappingProxyType({"IPv4": "10.244.0.0/16", "IPv6": "fd00:10:244::/56"})
_NONE = MappingProxyType({4: 0, 6: 0})
# Outer Ethernet is part of the frame, not of the MTU; the inner one is: 14 + outer IP + UDP 8 + VXLAN 8.
_VXLAN = MappingProxyType({4: 50, 6: 70})


class Masquerade(Enum):
    """When nodes translate what leaves the Pods' networks."""

    ALWAYS = "always"
    OUTSIDE = "where the lab has a host outside"


class Speaks(Enum):
    """The address from which a node sends to Pods of other nodes."""

    NODE = "its own"  # that of its eth0
    TUNNEL = "the tunnel's"  # the first of its Pod CIDR, without host bits
    BRIDGE = "the bridge's"  # the gateway of its own Pods


@dataclass(frozen=True, slots=True)
class Plane:
    """One data plane.

    ``bridge``: the bridge that the Pods of a node share, so that frames between them pass below the ip hooks; "" where
    Pods are routed.  ``udp_port``: that of the encapsulation; 0: packets travel as they are.  ``overhead``: its bytes by
    the outer packet's IP version; ``device_per_family``: each family is encapsulated in its own, else both in the lab's
    first.  ``crosses_nodes``: it leads to the Pods of other nodes.  ``flat``: one segment over all nodes, whose prefix the
    Pods have; else each node has a CIDR of its own.  ``nft_tables``: those that hold its masquerading.
    ``veth_gateways``: the node's end of each Pod's link has the gateway's address, where there is no bridge to have it.
    ``blackholes``: a node has a blackhole route for its own part of the Pods' networks.
    ``masquerades_transit``: also what only passes the node, whoever sent it.  ``needs``: kinds of links that the kernel
    must have.  ``pool``: addresses of Pods where the lab names none.
    """

    name: str
    summary: str
    bridge: str = ""
    udp_port: int = 0
    overhead: Mapping[int, int] = field(default_factory=lambda: _NONE)
    device_per_family: bool = False
    crosses_nodes: bool = True
    flat: bool = False
    masquerade: Masquerade = Masquerade.ALWAYS
    nft_tables: tuple[str, ...] = ()
    veth_gateways: bool = False
    blackholes: bool = False
    masquerades_transit: bool = False
    speaks: Speaks = Speaks.NODE
    needs: tuple[str, ...] = ("veth", "bridge")
    pool: Mapping[str, str] = field(default_factory=lambda: _POOL)

    def overhead_of(self, versions: Iterable[int]) -> int:
        """Bytes that Pods' packets lose, in a lab whose nodes have addresses of these IP versions, the first one first.

        Where each family has a device of its own, Pods get the smaller MTU of the two.
        """
        overheads = [self.overhead[version] for version in versions]
        return max(overheads) if self.device_per_family else overheads[0]


_ROWS = (
    Plane(
        "bridge",
        "Pods of a node share the bridge cni0; nothing leads to other nodes' Pods",
        bridge="cni0",
        crosses_nodes=False,
        masquerade=Masquerade.OUTSIDE,
        nft_tables=("netlab",),
    ),
    Plane(
        "vxlan",
        "cni0 and a VXLAN device a node (VNI 1, UDP 4789), neighbours and forwarding entries static",
        bridge="cni0",
        udp_port=4789,
        overhead=_VXLAN,
        masquerade=Masquerade.OUTSIDE,
        nft_tables=("netlab",),
        speaks=Speaks.TUNNEL,
        needs=("veth", "bridge", "vxlan"),
    ),
    Plane(
        "host-gw",
        "cni0 and a static route by node address for each other node's Pods; no encapsulation",
        bridge="cni0",
        masquerade=Masquerade.OUTSIDE,
        nft_tables=("netlab",),
    ),
    Plane(
        "flannel-vxlan",
        "flannel: cni0, flannel.1 (VNI 1, UDP 8472), its masquerading and forwarding rules",
        bridge="cni0",
        udp_port=8472,  # the kernel's own default: flannel leaves the port unset on Linux
        overhead=_VXLAN,
        device_per_family=True,
        nft_tables=("flannel-ipv4", "flannel-ipv6"),
        speaks=Speaks.TUNNEL,
        needs=("veth", "bridge", "vxlan"),
    ),
    Plane(
        "calico-bgp",
        "Calico without encapsulation: a host route a Pod, routes to other nodes' blocks as BIRD makes them",
        nft_tables=("calico",),
        blackholes=True,
    ),
    Plane(
        "calico-vxlan",
        "Calico with VXLAN: a host route a Pod, vxlan.calico (VNI 4096, UDP 4789) between the nodes",
        udp_port=4789,
        overhead=_VXLAN,
        device_per_family=True,
        nft_tables=("calico",),
        blackholes=True,
        speaks=Speaks.TUNNEL,
        needs=("veth", "bridge", "vxlan"),
    ),
    Plane(
        "kindnet",
        "kind's: a routed veth a Pod (CNI plugin ptp), a static route a node, kindnet's masquerading",
        nft_tables=("kindnet-ipmasq",),
        veth_gateways=True,
        masquerades_transit=True,
    ),
    Plane(
        "weave",
        "one flat segment over all nodes: bridge weave, vxlan-6784 (UDP 6784), 10.32.0.0/12",
        bridge="weave",
        udp_port=6784,
        # 1,500 less Weave's default MTU of 1,376; 20 more where the outer header is IPv6.
        overhead=MappingProxyType({4: 124, 6: 144}),
        flat=True,
        nft_tables=("weave",),
        speaks=Speaks.BRIDGE,
        needs=("veth", "bridge", "vxlan"),
        # Weave Net's own range (its IPALLOC_RANGE).
        pool=MappingProxyType({"IPv4": "10.32.0.0/12", "IPv6": "fd00:10:32::/56"}),
    ),
)

#: What a set of manifests without a Lab runs on: what small clusters have.
OF_MANIFESTS = "kindnet"

#: The rows by name, in the order in which they are listed.
ROWS: dict[str, Plane] = {plane.name: plane for plane in _ROWS}


def udp_ports() -> frozenset[int]:
    """Ports behind which an encapsulated packet stands, whatever the lab's data plane is."""
    return frozenset(plane.udp_port for plane in ROWS.values() if plane.udp_port)


def nft_tables() -> frozenset[str]:
    """Tables of masquerading that some data plane makes."""
    return frozenset(table for plane in ROWS.values() for table in plane.nft_tables)
