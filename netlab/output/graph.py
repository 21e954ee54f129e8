"""The document of ``graph``: a lab's whole topology, as it was applied."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.output.changes import LinkEnd
from netlab.output.places import Place
from netlab.plain import document, optional


@document
class Node:
    """A node; ``file`` and ``line`` are null if no document names it."""

    name: str
    netns: str
    rack: str | None
    addresses: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    labels: Mapping[str, str]
    file: str | None
    line: int | None


@document
class ContainerPort:
    """A port on which a container, or netlab for it, serves; ``declared``: the manifest names it."""

    port: int
    protocol: str
    name: str | None
    container: str | None
    declared: bool


@document
class Pod:
    """A Pod; ``host_network``: ``netns`` and ``addresses`` are those of its node."""

    namespace: str
    name: str
    node: str
    netns: str
    addresses: tuple[str, ...]
    labels: Mapping[str, str]
    owner: str | None
    ready: bool
    system: bool
    host_network: bool
    ports: tuple[ContainerPort, ...]
    file: str | None
    line: int | None


@document
class External:
    """A host outside the cluster."""

    name: str
    netns: str
    addresses: tuple[str, ...]
    ports: tuple[ContainerPort, ...]
    file: str | None
    line: int | None


@document
class Uplink:
    """The addresses of a link between a rack's router and the spine."""

    router: str
    spine: str


@document
class Rack:
    """A rack of a routed underlay; ``netns`` is its router's."""

    name: str
    netns: str
    cidrs: tuple[str, ...]
    gateways: tuple[str, ...]
    uplinks: tuple[Uplink, ...]


@document
class Underlay:
    """The network between the nodes; ``kind``: flat (one segment) or routed (racks and a spine)."""

    kind: str
    netns: str
    cidrs: tuple[str, ...]
    gateways: tuple[str, ...]
    mtu: int
    learns_pod_routes: bool
    drop_foreign_sources: bool


@document
class Device:
    """A network device; ``peer`` is the other end of a veth, ``master`` the bridge of a port."""

    netns: str
    dev: str
    type: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    altname: str | None = optional(None)
    master: str | None = optional(None)
    peer: LinkEnd | None = optional(None)


@document
class Impaired:
    """An end of a wire that impairs what it sends; ``impairments`` by field of ``links``, ``line`` null: by ``netlab link``."""

    netns: str
    dev: str
    impairments: Mapping[str, str]
    file: str | None
    line: int | None


@document
class Wire:
    """A veth pair; ``state`` is up, or down where the kernel has an end that is down or gone."""

    ends: tuple[LinkEnd, ...]
    mtu: int
    state: str | None = optional(None)
    impaired: tuple[Impaired, ...] = optional(())


@document
class Bridge:
    """A bridge and its ports."""

    netns: str
    dev: str
    ports: tuple[str, ...]


@document
class Remote:
    """The other end of a tunnel: its outer address ``dst``, in the namespace ``netns``; ``mac`` is behind it ("": all are)."""

    mac: str
    dst: str
    netns: str | None


@document
class Tunnel:
    """A device that encapsulates, of the kernel's ``kind``; ``vni`` and ``port`` are 0, ``local`` and ``lower`` "" where it has none."""

    netns: str
    dev: str
    vni: int
    port: int
    local: str
    lower: str
    remotes: tuple[Remote, ...]
    kind: str


@document
class Route:
    """A route; ``to_netns`` is the namespace that has the next hop's address."""

    netns: str
    dst: str
    type: str
    via: str | None
    to_netns: str | None
    dev: str | None
    src: str | None
    metric: int
    why: str
    file: str | None
    line: int | None


@document
class Neighbour:
    """A permanent neighbour entry."""

    netns: str
    dev: str
    address: str
    mac: str


@document
class ServicePort:
    """A port of a Service; ``target`` is a number or a name."""

    name: str | None
    port: int
    protocol: str
    target: int | str
    node_port: int | None


@document
class Backend:
    """An address behind a Service, with a port for each of the Service's, 0 where it lacks one.

    ``pod`` is null if no Pod has the address.
    """

    address: str
    ports: tuple[int, ...]
    pod: str | None
    node: str | None
    ready: bool
    serving: bool


@document
class Service:
    """A Service with its backends."""

    namespace: str
    name: str
    type: str
    headless: bool
    system: bool
    cluster_ips: tuple[str, ...]
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    external_name: str | None
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    backends: tuple[Backend, ...]
    external_traffic_local: bool
    internal_traffic_local: bool
    file: str | None
    line: int | None


@document
class Peer:
    """A peer of a policy's rule: ``pods`` are those that it selects, ``cidr`` is null if it selects Pods."""

    text: str
    pods: tuple[str, ...]
    cidr: str | None
    excepts: tuple[str, ...]


@document
class Rule:
    """A rule of a policy; without ``peers`` from or to everywhere, without ``ports`` every port.

    ``action`` and ``title``: of a tier's rule, its action and its name, if it has a name.
    """

    rule: str
    direction: str
    peers: tuple[Peer, ...]
    ports: tuple[str, ...]
    file: str | None
    line: int | None
    action: str | None = optional(None)
    title: str | None = optional(None)


@document
class Policy:
    """A NetworkPolicy, the Pods that it selects, and the directions in which it isolates them."""

    namespace: str
    name: str
    selector: str
    pods: tuple[str, ...]
    ingress: bool
    egress: bool
    rules: tuple[Rule, ...]
    file: str | None
    line: int | None


@document
class TierPolicy:
    """A policy of the Admin or the Baseline tier and the Pods that it judges; ``priority`` is null if it has none."""

    kind: str
    name: str
    tier: str
    priority: int | None
    subject: str
    pods: tuple[str, ...]
    rules: tuple[Rule, ...]
    file: str | None
    line: int | None


@document
class Graph:
    """``graph``: the lab as applied.  Names of Pods elsewhere in the document are ``namespace/name``.

    ``enforced``: netlab's rules enforce the policies.
    """

    lab: str
    dataplane: str
    families: tuple[str, ...]
    mtu: int
    pod_mtu: int
    pod_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    places: Mapping[str, Place]
    underlay: Underlay
    racks: tuple[Rack, ...]
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    externals: tuple[External, ...]
    devices: tuple[Device, ...]
    wires: tuple[Wire, ...]
    bridges: tuple[Bridge, ...]
    tunnels: tuple[Tunnel, ...]
    routes: tuple[Route, ...]
    neighbours: tuple[Neighbour, ...]
    services: tuple[Service, ...]
    policies: tuple[Policy, ...]
    tiers: tuple[TierPolicy, ...] = optional(())
    enforced: bool = optional(True)
