"""The data planes' traits: a row each, on the lowest floor, for every floor that must know how a plane behaves.

A new data plane is a row here, a golden file, and a file in ``plan/dataplanes`` if it encapsulates packets or routes
Pods.  No other module knows a plane's name: the schema's enum, the MTU of Pods, the oracle's predictions and the words of a trace follow from
the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import Enum
from types import MappingProxyType

from netlab.tuples import NamedTuple
from netlab.values import dataclass

# kind's and kubeadm's defaults, which are what most clusters that people look at have.
_POOL = MappingProxyType({"IPv4": "10.244.0.0/16", "IPv6": "fd00:10:244::/56"})
_NONE = MappingProxyType({4: 0, 6: 0})
# Outer Ethernet is part of the frame, not of the MTU; the inner one is: 14 + outer IP + UDP 8 + VXLAN or Geneve 8.
_VXLAN = MappingProxyType({4: 50, 6: 70})
_IPIP = MappingProxyType({4: 20})
# flannel's value for both families: outer IPv6 40 + UDP 8 + WireGuard 32.
_WIREGUARD = MappingProxyType({4: 80, 6: 80})


class Masquerade(Enum):
    """When nodes translate what leaves the Pods' networks."""

    ALWAYS = "always"
    OUTSIDE = "where the lab has a host outside"


class Speaks(Enum):
    """The address from which a node sends to Pods of other nodes."""

    NODE = "its own"  # that of its eth0
    TUNNEL = "the tunnel's"  # the first of its Pod CIDR, without host bits
    BRIDGE = "the bridge's"  # the gateway of its own Pods


class Encapsulation(Enum):
    """What nodes put around packets to other nodes' Pods; the value is the name in texts."""

    NONE = ""
    VXLAN = "VXLAN"
    GENEVE = "Geneve"
    IPIP = "IPIP"
    WIREGUARD = "WireGuard"


#: By the kernel's word for the kind of device that makes it.
ENCAPSULATIONS = MappingProxyType({kind.name.lower(): kind for kind in Encapsulation if kind.value})
#: Encapsulations of eight bytes behind UDP with a whole Ethernet frame inside.
ETHERNET_IN_UDP = frozenset((Encapsulation.VXLAN, Encapsulation.GENEVE))
#: Encapsulations whose devices have packets without an Ethernet header.
WITHOUT_ETHERNET = frozenset((Encapsulation.IPIP, Encapsulation.WIREGUARD))


class Agent(NamedTuple):
    """The DaemonSet of a CNI project that programs each node: its labels and containers (name, image) as its manifest has
    them.
    """

    name: str
    labels: Mapping[str, str]
    containers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plane:
    """One data plane.

    ``bridge``: the bridge that the Pods of a node share, so that frames between them pass below the ip hooks; "" where
    Pods are routed.  ``udp_port``: that of the encapsulation, 0 without UDP.  ``overhead``: its bytes by the outer
    packet's IP version; ``device_per_family``: each family is encapsulated in its own, else both in the lab's first.
    ``families``: those that it carries.  ``whole_network``: a node's route to the tunnel covers the Pods' whole network.  ``crosses_nodes``: it leads to the Pods of other nodes.  ``flat``: one segment over all nodes, whose prefix the
    Pods have; else each node has a CIDR of its own.  ``nft_tables``: those that hold its masquerading.
    ``veth_gateways``: the node's end of each Pod's link has the gateway's address, where there is no bridge to have it.
    ``blackholes``: a node has a blackhole route for its own part of the Pods' networks.
    ``masquerades_transit``: also what only passes the node, whoever sent it.  ``needs``: kinds of links that the kernel
    must have.  ``pool``: addresses of Pods where the lab names none.  ``agent``: the CNI project's DaemonSet.
    ``maps_ports``: netlab makes the rules of hostPorts; False where a plugin of the user's does.
    """

    name: str
    summary: str
    bridge: str = ""
    encapsulation: Encapsulation = Encapsulation.NONE
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
    families: tuple[str, ...] = ("IPv4", "IPv6")
    whole_network: bool = False
    agent: Agent | None = None
    maps_ports: bool = True

    @property
    def encapsulates(self) -> bool:
        """Whether the underlay sees nodes' addresses alone."""
        return self.encapsulation is not Encapsulation.NONE

    def overhead_of(self, versions: Iterable[int]) -> int:
        """Bytes that Pods' packets lose, in a lab whose nodes have addresses of these IP versions, the first one first.

        Where each family has a device of its own, Pods get the smaller MTU of the two.
        """
        overheads = [self.overhead[version] for version in versions]
        return max(overheads) if self.device_per_family else overheads[0]


# What planes of a kind have in common.
_CNI = Plane("", "", bridge="cni0", masquerade=Masquerade.OUTSIDE, nft_tables=("netlab",))
_OVERLAY = replace(_CNI, overhead=_VXLAN, speaks=Speaks.TUNNEL)
_FLANNEL = Plane(
    "",
    "",
    bridge="cni0",
    nft_tables=("flannel-ipv4", "flannel-ipv6"),
    speaks=Speaks.TUNNEL,
    agent=Agent("kube-flannel-ds", {"app": "flannel", "tier": "node"}, (("kube-flannel", "flannel/flannel:v0.27.3"),)),
)
_CALICO = Plane(
    "",
    "",
    nft_tables=("calico",),
    blackholes=True,
    agent=Agent("calico-node", {"k8s-app": "calico-node"}, (("calico-node", "calico/node:v3.30.3"),)),
)

_ROWS = (
    replace(
        _CNI,
        name="bridge",
        summary="Pods of a node share the bridge cni0; nothing leads to other nodes' Pods",
        crosses_nodes=False,
    ),
    replace(
        _OVERLAY,
        name="vxlan",
        summary="cni0 and a VXLAN device a node (VNI 1, UDP 4789), neighbours and forwarding entries static",
        encapsulation=Encapsulation.VXLAN,
        udp_port=4789,
        needs=("veth", "bridge", "vxlan"),
    ),
    replace(
        _CNI,
        name="host-gw",
        summary="cni0 and a static route by node address for each other node's Pods; no encapsulation",
    ),
    replace(
        _FLANNEL,
        name="flannel-vxlan",
        summary="flannel: cni0, flannel.1 (VNI 1, UDP 8472), its masquerading and forwarding rules",
        encapsulation=Encapsulation.VXLAN,
        udp_port=8472,  # the kernel's own default: flannel leaves the port unset on Linux
        overhead=_VXLAN,
        device_per_family=True,
        needs=("veth", "bridge", "vxlan"),
    ),
    replace(
        _CALICO,
        name="calico-bgp",
        summary="Calico without encapsulation: a host route a Pod, routes to other nodes' blocks as BIRD makes them",
    ),
    replace(
        _CALICO,
        name="calico-vxlan",
        summary="Calico with VXLAN: a host route a Pod, vxlan.calico (VNI 4096, UDP 4789) between the nodes",
        encapsulation=Encapsulation.VXLAN,
        udp_port=4789,
        overhead=_VXLAN,
        device_per_family=True,
        speaks=Speaks.TUNNEL,
        needs=("veth", "bridge", "vxlan"),
    ),
    Plane(
        "kindnet",
        "kind's: a routed veth a Pod (CNI plugin ptp), a static route a node, kindnet's masquerading",
        nft_tables=("kindnet-ipmasq",),
        veth_gateways=True,
        masquerades_transit=True,
        agent=Agent(
            *("kindnet", {"app": "kindnet", "k8s-app": "kindnet", "tier": "node"}),
            (("kindnet-cni", "kindest/kindnetd:v20250512-df8de77b"),),
        ),
    ),
    Plane(
        "weave",
        "one flat segment over all nodes: bridge weave, vxlan-6784 (UDP 6784), 10.32.0.0/12",
        bridge="weave",
        encapsulation=Encapsulation.VXLAN,
        udp_port=6784,
        # 1,500 less Weave's default MTU of 1,376; 20 more where the outer header is IPv6.
        overhead=MappingProxyType({4: 124, 6: 144}),
        flat=True,
        nft_tables=("weave",),
        speaks=Speaks.BRIDGE,
        needs=("veth", "bridge", "vxlan"),
        # Weave Net's own range (its IPALLOC_RANGE).
        pool=MappingProxyType({"IPv4": "10.32.0.0/12", "IPv6": "fd00:10:32::/56"}),
        agent=Agent(
            *("weave-net", {"name": "weave-net"}),
            (("weave", "weaveworks/weave-kube:2.8.1"), ("weave-npc", "weaveworks/weave-npc:2.8.1")),
        ),
    ),
    replace(
        _OVERLAY,
        name="geneve",
        summary="cni0 and a Geneve device for each other node (VNI 1, UDP 6081), neighbours static",
        encapsulation=Encapsulation.GENEVE,
        udp_port=6081,
        needs=("veth", "bridge", "geneve"),
    ),
    replace(
        _FLANNEL,
        name="ipip",
        summary="flannel's backend ipip: cni0, flannel.ipip (IPv4 in IPv4, no UDP), flannel's rules; IPv4 alone",
        encapsulation=Encapsulation.IPIP,
        overhead=_IPIP,
        nft_tables=("flannel-ipv4",),
        needs=("veth", "bridge", "ipip"),
        families=("IPv4",),
    ),
    replace(
        _FLANNEL,
        name="wireguard",
        summary="flannel's backend wireguard: cni0, flannel-wg (UDP 51820, encrypted), flannel's rules",
        encapsulation=Encapsulation.WIREGUARD,
        udp_port=51820,
        overhead=_WIREGUARD,
        device_per_family=True,
        needs=("veth", "bridge", "wireguard"),
        whole_network=True,
    ),
    replace(
        _CALICO,
        name="calico-ipip",
        summary="Calico's default, IPIP always: a host route a Pod, tunl0 (IPv4 in IPv4, no UDP) between the nodes; IPv4 alone",
        encapsulation=Encapsulation.IPIP,
        overhead=_IPIP,
        speaks=Speaks.TUNNEL,
        needs=("veth", "bridge", "ipip"),
        families=("IPv4",),
    ),
)

#: What a set of manifests without a Lab runs on: what small clusters have.
OF_MANIFESTS = "kindnet"

#: The rows by name, in the order in which they are listed.
ROWS: dict[str, Plane] = {plane.name: plane for plane in _ROWS}

#: What leads to other nodes' Pods where the user's CNI plugins attach Pods (``reach``), as the rows have it; the first is the default.
REACHES = {"host-gw": ROWS["host-gw"], "vxlan": ROWS["vxlan"], "none": ROWS["bridge"]}


def udp_ports() -> frozenset[int]:
    """Ports behind which an encapsulated frame stands that can be read, whatever the lab's data plane is."""
    return frozenset(plane.udp_port for plane in ROWS.values() if plane.encapsulation in ETHERNET_IN_UDP)


def vxlan_ports() -> frozenset[int]:
    """The UDP ports of VXLAN."""
    return frozenset(plane.udp_port for plane in ROWS.values() if plane.encapsulation is Encapsulation.VXLAN)


def nft_tables() -> frozenset[str]:
    """Tables of masquerading that some data plane makes."""
    return frozenset(table for plane in ROWS.values() for table in plane.nft_tables)
