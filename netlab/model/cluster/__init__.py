"""The resolved cluster: what the spec means, once every default is filled in and every name is found.

All of it is frozen.  Addresses are ``ipaddress`` values; a node or Pod has one address a family, in the order of
``Cluster.families`` (the first is the primary one, as ``status.podIP`` is).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from netlab.errors import Mark
from netlab.model.cluster import identity
from netlab.model.cluster.impairments import Impairment
from netlab.model.cluster.policies import Policy
from netlab.model.cluster.services import Service
from netlab.model.cluster.tiers import TierPolicy
from netlab.model.conflist import Attached
from netlab.model.recordedplane import RecordedPlane
from netlab.planes import ROWS, Masquerade, Plane, Speaks
from netlab.spec import Document
from netlab.tuples import NamedTuple
from netlab.values import dataclass

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container: ``name`` may be empty; ``protocol`` is TCP, UDP or SCTP.

    ``declared`` is False where no containerPort names it, but a Service, a probe or a policy does.  ``served_by`` is
    ``process`` where the container's command really runs: then the port is open if and only if that opens it.
    """

    port: int
    protocol: str = "TCP"
    name: str = ""
    container: str = ""
    declared: bool = True
    mark: Mark | None = None
    served_by: str = "responder"


@dataclass(frozen=True, slots=True)
class Container:
    """A container as far as the network is concerned.

    ``runs``: its command is a real process.  ``missing``: it would be, but this host lacks the program.
    """

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    mark: Mark | None = None
    runs: bool = False
    missing: bool = False


class Taint(NamedTuple):
    """A taint of a node."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node.  ``number`` counts from 1 in document order and is in its addresses and MACs.

    ``addresses`` are those of its eth0 on the underlay with their prefix length, ``pod_cidrs`` one network a family.
    ``agent``: the words of a daemon of the author's that runs there.
    """

    name: str
    number: int
    netns: str
    addresses: tuple[Interface, ...]
    pod_cidrs: tuple[Network, ...]
    mac: str
    labels: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None
    rack: str = ""
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    agent: tuple[str, ...] = ()

    @property
    def gateways(self) -> tuple[Interface, ...]:
        """The first address of each Pod CIDR, with the CIDR's prefix length: cni0's own."""
        return _gateways(self.pod_cidrs)


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod.  ``addresses`` have the prefix length of the node's Pod CIDR.

    ``serial`` is unique in the lab for as long as the Pod lives: interface indexes and MAC addresses are made of it.
    ``ports`` are all that somebody answers on, ``owner`` the workload that it comes from (``Deployment/web``) or "",
    ``controller`` what made it (``ReplicaSet/web-5d9c8b7f6``) and ``slot`` its place there.
    ``containers`` are those that run side by side, native sidecars included; ``inits`` those that run before them.
    ``etc``: the folder below /etc/netns of its own hosts file, resolv.conf and hostname; its namespace's name, unless it
    is in its node's network.  ``ready``: it may get the traffic of its Services; ``ended``: its phase is Succeeded or Failed (see ``model.status``).
    ``leaving``: it was deleted and serves until it ends, by that second of the epoch at the latest; 0 where it stays.
    """

    namespace: str
    name: str
    node: str
    netns: str
    addresses: tuple[Interface, ...]
    serial: int
    mac: str
    containers: tuple[Container, ...] = ()
    ports: tuple[Port, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""
    subdomain: str = ""
    host_network: bool = False
    owner: str = ""
    spec: Mapping[str, object] = field(default_factory=dict)
    mark: Mark | None = None
    inits: tuple[Container, ...] = ()
    ready: bool = True
    ended: bool = False
    etc: str = ""
    leaving: int = 0
    controller: str = ""
    slot: str = ""

    @property
    def uts_name(self) -> str:
        """The hostname that its containers see: a hostNetwork Pod has its node's."""
        return self.node if self.host_network else self.hostname

    @property
    def system(self) -> bool:
        """Whether netlab added it by itself (the DNS server's)."""
        return "netlab/system" in self.annotations

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Idle:
    """A Pod without a network: no node fits it (Pending), or its document states that it has ended.

    ``reason`` and ``message`` are those of its status; ``addresses`` those that it had.
    """

    namespace: str
    name: str
    phase: str
    reason: str
    message: str
    node: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, object]
    status: Mapping[str, object]
    owner: str
    controller: str
    slot: str
    mark: Mark | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Made:
    """An object that a controller makes: a ReplicaSet of a Deployment, a Job of a CronJob; ``owner`` is that controller."""

    api_version: str
    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: tuple[str, str]
    spec: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Rack:
    """A rack of a routed underlay: a segment and the top-of-rack router that ends it.

    ``number`` counts from 1; ``gateways`` are the router's addresses on the segment, ``uplinks`` those of the link to
    the spine, each (the router's, the spine's), one a family.
    """

    name: str
    number: int
    netns: str
    cidrs: tuple[Network, ...]
    gateways: tuple[Interface, ...]
    uplinks: tuple[tuple[Interface, Interface], ...]


@dataclass(frozen=True, slots=True)
class External:
    """A host outside the cluster, behind the underlay's router.  ``addresses`` are host addresses, one a family."""

    name: str
    number: int
    netns: str
    addresses: tuple[Interface, ...]
    ports: tuple[Port, ...] = ()
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Underlay:
    """The network between the nodes.  ``gateways`` are the router's own addresses, one a family.

    A ``flat`` one is one segment with its router in ``netns``; a ``routed`` one has ``racks``, and ``netns`` is the
    spine's.  ``learns_pod_routes``: routers know the way to every node's Pods.  ``drop_foreign_sources``: the segment
    takes packets from a node only if their source is the node's own address, as clouds do.
    """

    kind: str
    cidrs: tuple[Network, ...]
    gateways: tuple[Interface, ...]
    netns: str
    mac: str
    mtu: int = 1500
    mark: Mark | None = None
    racks: tuple[Rack, ...] = ()
    learns_pod_routes: bool = False
    drop_foreign_sources: bool = False

    def rack(self, name: str) -> Rack:
        """The rack of that name; KeyError where there is none."""
        for rack in self.racks:
            if rack.name == name:
                return rack
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Attachments:
    """The user's CNI plugins: their list (file and text), the traits that they make, and the Pods that they attached.

    ``words`` are, by node, what stands for ``{{podCIDR}}`` and the like.  ``pods`` is by ``namespace/name``.
    """

    file: str
    text: str
    plane: Plane
    words: Mapping[str, Mapping[str, str]]
    pods: Mapping[str, Attached] = field(default_factory=dict)
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that a lab is.  ``mtu`` is the underlay's, in bytes; Pods get it less the data plane's overhead.

    ``containers`` is what the lab says of them: ``run`` (commands are real processes) or ``respond``.
    ``network_policies`` are ``policies`` resolved, ``tiers`` the policies of the Admin and the Baseline tier in the order
    in which they are asked; ``enforced``: netlab's rules enforce them; ``deny`` (drop or reject) is what happens to a packet that they deny,
    ``established`` (keep or drop) what happens to connections that were up when a policy starts to deny them.
    ``idle`` are Pods that have no network, ``made`` the objects that controllers make, and ``incarnations`` tell by slot
    how many Pods were there before.  ``impairments`` are those of links, each of a direction.  ``paused`` are the
    templates that paused Deployments run, ``outcomes`` the ends of Pods that their controllers know (``workloads.jobs``).
    ``attachments`` are those of CNI plugins that the user brings; None where netlab attaches Pods itself.
    ``folder``: that of the lab's file, where nodes have agents, which run there.  ``recorded``: a data plane of the user's.
    """

    lab: str
    dataplane: str
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    underlay: Underlay
    families: tuple[str, ...] = ("IPv4",)
    pod_cidrs: tuple[Network, ...] = ()
    service_cidrs: tuple[Network, ...] = ()
    mtu: int = 1500
    offload: bool = False
    services: tuple[Service, ...] = ()
    policies: tuple[Document, ...] = ()
    mark: Mark | None = None
    containers: str = "run"
    external: tuple[External, ...] = ()
    network_policies: tuple[Policy, ...] = ()
    deny: str = "drop"
    established: str = "keep"
    dns: bool = False
    idle: tuple[Idle, ...] = ()
    made: tuple[Made, ...] = ()
    incarnations: Mapping[str, int] = field(default_factory=dict)
    tiers: tuple[TierPolicy, ...] = ()
    impairments: tuple[Impairment, ...] = ()
    paused: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    enforced: bool = True
    attachments: Attachments | None = None
    folder: str = ""
    recorded: RecordedPlane | None = None
    _by_node: dict[str, list[Pod]] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def own_pods(self) -> tuple[Pod, ...]:
        """The Pods that the lab's author has: all but the DNS server's."""
        return tuple(pod for pod in self.pods if not pod.system)

    @property
    def all_policies(self) -> tuple[Policy | TierPolicy, ...]:
        """The policies of the tiers, then the NetworkPolicies."""
        return (*self.tiers, *self.network_policies)

    @property
    def filters(self) -> bool:
        """Whether any policy may deny a flow."""
        return bool(self.network_policies or self.tiers)

    @property
    def plane(self) -> Plane:
        """The data plane's traits."""
        own = self.attachments.plane if self.attachments else self.recorded.traits if self.recorded else None
        return own or ROWS[self.dataplane]

    @property
    def overhead(self) -> int:
        """Bytes of encapsulation around Pods' packets."""
        return self.plane.overhead_of(cidr.version for cidr in self.underlay.cidrs)

    @property
    def pod_mtu(self) -> int:
        """The MTU of Pods: the underlay's less the encapsulation."""
        return self.mtu - self.overhead

    def node(self, name: str) -> Node:
        """The node of that name; KeyError where there is none."""
        return next(node for node in self.nodes if node.name == name)

    def uid(self, pod: Pod | Idle) -> str:
        """The uid of a Pod: another for each that was made in its place."""
        incarnation = self.incarnations.get(pod.slot, 0)
        return identity.uid(self.lab, "Pod", pod.namespace, pod.name, incarnation)

    def carries(self, node: str, other: str) -> tuple[bool, str]:
        """Whether packets get from one node's Pods to another's and back; if not, why they are lost without a word.

        Encapsulated packets have node addresses outside, so every underlay carries them.  Direct ones need a segment
        in common, or routers that know the Pods; and no underlay that drops sources which are no node's.  A router
        that does not know the target Pod does not know the asking one either: its ICMP error never arrives.
        """
        if node == other or self.plane.encapsulates:
            return True, ""
        if self.underlay.drop_foreign_sources:
            return False, "the underlay drops packets whose source is no node's address"
        if not self.plane.crosses_nodes and not (self.underlay.racks and self.underlay.learns_pod_routes):
            return False, f"data plane {self.dataplane} leads to no other node's Pods"
        if self.node(node).rack != self.node(other).rack and not self.underlay.learns_pod_routes:
            return False, "the routers between the racks do not know the Pods' routes"
        return True, ""

    @property
    def masquerades(self) -> bool:
        """Whether nodes translate what leaves the Pods' networks."""
        return bool(self.external) or self.plane.masquerade is Masquerade.ALWAYS

    def inner_addresses(self, node: Node) -> tuple[Address, ...]:
        """The node's own addresses in the Pods' networks: of its bridge or its Pods' gateway, and of its tunnel device."""
        plane = self.plane
        has_gateway = bool(plane.bridge) or (plane.veth_gateways and bool(self.pods_of(node)))
        gateways = tuple(gateway.ip for gateway in node.gateways) if has_gateway else ()
        return (*gateways, *(cidr[0] for cidr in node.pod_cidrs if plane.speaks is Speaks.TUNNEL))

    def pods_of(self, node: Node) -> tuple[Pod, ...]:
        """The Pods on a node that have a namespace of their own (no hostNetwork)."""
        by_node = self._by_node  # asked for of every node
        if by_node is None:
            by_node = {parent.name: [] for parent in self.nodes}
            for pod in self.pods:
                if not pod.host_network:
                    by_node.setdefault(pod.node, []).append(pod)
            object.__setattr__(self, "_by_node", by_node)
        return tuple(by_node.get(node.name, ()))


@lru_cache(4096)  # asked for by every Pod of a node
def _gateways(cidrs: tuple[Network, ...]) -> tuple[Interface, ...]:
    return tuple(_interface(cidr[1], cidr.prefixlen) for cidr in cidrs)


def _interface(address: Address, prefixlen: int) -> Interface:
    if isinstance(address, IPv4Address):
        return IPv4Interface((address, prefixlen))
    return IPv6Interface((address, prefixlen))
