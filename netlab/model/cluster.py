"""The resolved cluster: what the spec means, once every default is filled in and every name is found.

All of it is frozen.  Addresses are ``ipaddress`` values; a node or Pod has one address a family, in the order of
``Cluster.families`` (the first is the primary one, as ``status.podIP`` is).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from netlab.errors import Mark
from netlab.spec import Document

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container: ``name`` may be empty; ``protocol`` is TCP, UDP or SCTP.

    ``declared`` is False where no containerPort names it, but a Service, a probe or a policy does.
    """

    port: int
    protocol: str = "TCP"
    name: str = ""
    container: str = ""
    declared: bool = True
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """A container as far as the network is concerned."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node.  ``number`` counts from 1 in document order and is in its addresses and MACs.

    ``addresses`` are those of its eth0 on the underlay with their prefix length, ``pod_cidrs`` one network a family.
    """

    name: str
    number: int
    netns: str
    addresses: tuple[Interface, ...]
    pod_cidrs: tuple[Network, ...]
    mac: str
    labels: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None

    @property
    def gateways(self) -> tuple[Interface, ...]:
        """The first address of each Pod CIDR, with the CIDR's prefix length: cni0's own."""
        return tuple(_interface(cidr[1], cidr.prefixlen) for cidr in self.pod_cidrs)


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod.  ``addresses`` have the prefix length of the node's Pod CIDR.

    ``serial`` is unique in the lab for as long as the Pod lives: interface indexes and MAC addresses are made of it.
    ``ports`` are all that somebody answers on, ``owner`` the workload that it comes from (``Deployment/web``) or "".
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

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Underlay:
    """The network between the nodes.  ``gateways`` are the router's own addresses, one a family."""

    kind: str
    cidrs: tuple[Network, ...]
    gateways: tuple[Interface, ...]
    netns: str
    mac: str
    mtu: int = 1500
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that a lab is.  ``mtu`` is the underlay's, in bytes; Pods get it less the data plane's overhead."""

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
    services: tuple[Document, ...] = ()
    policies: tuple[Document, ...] = ()
    mark: Mark | None = None

    def node(self, name: str) -> Node:
        """The node of that name; KeyError where there is none."""
        return next(node for node in self.nodes if node.name == name)

    def joined(self, one: str, other: str) -> bool:
        """Whether the data plane leads from one node's Pods to another's; ``bridge`` knows its own node alone."""
        return one == other or self.dataplane != "bridge"

    def pods_of(self, node: Node) -> tuple[Pod, ...]:
        """The Pods on a node that have a namespace of their own (no hostNetwork)."""
        return tuple(pod for pod in self.pods if pod.node == node.name and not pod.host_network)


def _interface(address: Address, prefixlen: int) -> Interface:
    if isinstance(address, IPv4Address):
        return IPv4Interface((address, prefixlen))
    return IPv6Interface((address, prefixlen))
