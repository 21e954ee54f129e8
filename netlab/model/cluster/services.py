"""A resolved Service: its addresses, its ports and its backends.

A module of its own, below ``cluster``, because a Cluster holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from netlab.errors import Mark
from netlab.values import dataclass

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Beside the ports of a Service in its memory: its healthCheckNodePort.
HEALTH_CHECK = "healthCheck"
CLUSTER_IP, NODE_PORT, LOAD_BALANCER, EXTERNAL_NAME = "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service.  ``target`` is a number or the name of a container's port; ``node_port`` 0: it has none."""

    port: int
    protocol: str = "TCP"
    name: str = ""
    target: int | str = 0
    node_port: int = 0
    mark: Mark | None = None

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Backend:
    """One address behind a Service.

    ``ports`` has a number for each of the Service's ports, 0 where this backend lacks it (a named targetPort that its
    containers do not have).  ``pod`` is ``namespace/name`` or "" where no Pod has the address; ``node`` its node or "";
    ``hostname`` is set where the backend has a DNS name of its own.  ``serving`` and ``terminating`` are the conditions
    of that name of its EndpointSlice; ``zone`` is its node's, ``for_zones`` and ``for_nodes`` are its hints.  ``given``:
    an EndpointSlice or Endpoints that somebody wrote has it, so no status of a Pod changes it.
    """

    address: Address
    ports: tuple[int, ...]
    pod: str = ""
    node: str = ""
    hostname: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone: str = ""
    for_zones: tuple[str, ...] = ()
    for_nodes: tuple[str, ...] = ()
    given: bool = False

    @property
    def lasting(self) -> bool:
        """Whether it terminates and still serves: it gets traffic where no ready one is left."""
        return self.terminating and self.serving and not self.ready


@dataclass(frozen=True, slots=True)
class Service:
    """A Service.

    ``cluster_ips`` are empty for a headless one and an ExternalName; ``families`` ("IPv4", "IPv6") are its own, the
    primary one first.  ``affinity`` is the time in seconds for which a client keeps its backend, 0 without affinity.
    ``system``: netlab made it (kubernetes, kube-dns), nobody wrote it.  ``distribution`` is Auto, PreferSameZone,
    PreferSameNode or ""; ``zone_weights``: with Auto, how many nodes each zone has.
    ``slice_ports``: the names of the ports of its EndpointSlices, where those give it its backends.  ``health_port``: its
    healthCheckNodePort, 0 without.
    """

    namespace: str
    name: str
    kind: str = CLUSTER_IP
    families: tuple[str, ...] = ("IPv4",)
    cluster_ips: tuple[Address, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    backends: tuple[Backend, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    headless: bool = False
    external_name: str = ""
    external_ips: tuple[Address, ...] = ()
    load_balancer_ips: tuple[Address, ...] = ()
    source_ranges: tuple[Network, ...] = ()
    affinity: int = 0
    external_local: bool = False
    internal_local: bool = False
    publish_not_ready: bool = False
    system: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None
    distribution: str = ""
    zone_weights: Mapping[str, int] = field(default_factory=dict)
    slice_ports: tuple[str, ...] = ()
    health_port: int = 0

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def counts_ready(self, backend: Backend) -> bool:
        """Whether it is ready, or its selector's and publishNotReadyAddresses takes it as ready."""
        return backend.ready or (self.publish_not_ready and not backend.given)

    @property
    def ready(self) -> tuple[Backend, ...]:
        """The ready backends, or all where publishNotReadyAddresses says so: what its DNS names lead to."""
        return tuple(backend for backend in self.backends if self.counts_ready(backend))

    @property
    def serving(self) -> tuple[Backend, ...]:
        """The backends that get traffic from somewhere (``services.choice`` has what each node chooses among)."""
        return self.ready or tuple(backend for backend in self.backends if backend.lasting)

    def local_ready(self, node: str, family: str) -> int:
        """How many addresses of a family are ready on a node: what kube-proxy reports on the healthCheckNodePort."""
        return len(
            {each.address for each in self.ready if each.node == node and f"IPv{each.address.version}" == family}
        )

    @property
    def outside_ips(self) -> tuple[Address, ...]:
        """The addresses of the Service for clients outside the cluster."""
        return (*self.external_ips, *self.load_balancer_ips)

    @property
    def health_checked(self) -> bool:
        """Whether a load balancer in front asks each node for local endpoints."""
        return self.kind == LOAD_BALANCER and self.external_local

    @property
    def external_facing(self) -> bool:
        """Whether traffic from outside can have a way to it, so that externalTrafficPolicy means something."""
        return self.kind in (NODE_PORT, LOAD_BALANCER) or bool(self.external_ips)


@dataclass(frozen=True, slots=True)
class ServiceMemory:
    """The state that a Service of a running lab keeps: its cluster addresses, its load balancer's, its node ports by ``80/TCP``
    (and ``healthCheck``).
    """

    cluster_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    node_ports: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, service: Service) -> ServiceMemory:
        """The state to keep of a Service."""
        return cls(
            tuple(map(str, service.cluster_ips)),
            tuple(map(str, service.load_balancer_ips)),
            {str(port): port.node_port for port in service.ports if port.node_port}
            | ({HEALTH_CHECK: service.health_port} if service.health_port else {}),
        )
