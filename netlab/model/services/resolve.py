"""Services: documents in, resolved Services out.

The order of the steps puts stated values before drawn values.  First come addresses and node ports that the documents
state, then those that a running lab remembers, then the rest from the pools.  The backends come last, by selectors over
the Pods and from EndpointSlices.

Limit.  Load balancer addresses are drawn for IPv4 only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from netlab.errors import Mark
from netlab.memo import Session
from netlab.model.cluster.services import (
    CLUSTER_IP,
    EXTERNAL_NAME,
    HEALTH_CHECK,
    LOAD_BALANCER,
    NODE_PORT,
    Address,
    Backend,
    Network,
    Service,
    ServiceMemory,
    ServicePort,
)
from netlab.model.services import choice, mirror, pools
from netlab.model.services.slices import LabAddresses, of_slices, of_slices_warnings, outside_warnings, port_names
from netlab.spec import Document, Warning
from netlab.tuples import NamedTuple

Complain = Callable[[Mark | None, str, str], None]
SYSTEM = "netlab/system"  # annotation of what netlab adds to a lab by itself
_AFFINITY = 10800  # seconds; the API's default for clientIP.timeoutSeconds
_NO_MEMORY = ServiceMemory()


def resolve(
    documents: Sequence[Document],
    slices: Sequence[Document],
    endpoints: Sequence[Document],
    lab_addresses: LabAddresses,
    families: Sequence[str],
    cidrs: Sequence[Network],
    memory: Mapping[str, ServiceMemory],
    complain: Complain,
    warn: list[Warning],
    session: Session,
) -> tuple[Service, ...]:
    """The Services of a cluster, those that netlab adds included, in document order.

    ``lab_addresses`` has the lab's Pods and addresses; ``memory`` is the state of a running lab by ``namespace/name``.
    Errors go to ``complain``, and warnings for the author to ``warn``.
    """
    services = _Resolver(lab_addresses, families, cidrs, memory, complain, warn).all(documents, slices, endpoints)
    return session.of(_Services).keep(services)


class _Resolver:
    def __init__(
        self,
        lab_addresses: LabAddresses,
        families: Sequence[str],
        cidrs: Sequence[Network],
        memory: Mapping[str, ServiceMemory],
        complain: Complain,
        warn: list[Warning],
    ) -> None:
        self._lab_addresses, self._families, self._memory = lab_addresses, tuple(families), memory
        self._complain, self._warn = complain, warn
        self._pools = {f"IPv{cidr.version}": pools.AddressPool(cidr) for cidr in cidrs}
        self._node_ports = {protocol: pools.node_ports() for protocol in ("TCP", "UDP", "SCTP")}
        self._outside: dict[tuple[Address, int, str], Service] = {}
        self._balancers: dict[Address, str] = dict.fromkeys(lab_addresses.addresses(), "a host of this lab")

    def all(
        self, documents: Sequence[Document], slices: Sequence[Document], endpoints: Sequence[Document]
    ) -> list[Service]:
        pairs = [(self._frame(item), item) for item in documents]
        by_service = self._behind([document for service, document in pairs if not service.system], slices, endpoints)
        names = {(service.namespace, service.name): service for service, _ in pairs}
        written = {(item.namespace, item.name): item for item in documents}
        for item in slices:
            self._warn += of_slices_warnings(item, names.get(mirror.service_of(item)))
        for item in endpoints:
            self._warn += mirror.warnings(item, written)
        # netlab's own first: nobody else may have kubernetes' and kube-dns' addresses.  Then what runs, before what is
        # new, wherever that stands: as in a cluster, what a Service has been given no other one can say is its own.
        for service, document in pairs:
            if service.system:
                self._reserve(service, document)
        for service, document in pairs:
            self._keep(service, document)
        for service, document in pairs:
            if not service.system:
                self._reserve(service, document)
        resolved = []
        for service, document in pairs:
            service = self._numbered(service, document)
            resolved.append(self._filled(service, document, by_service.get((service.namespace, service.name), [])))
            self._alone(resolved[-1], document)
        return resolved

    def _behind(
        self, services: Sequence[Document], slices: Sequence[Document], endpoints: Sequence[Document]
    ) -> dict[tuple[str, str], list[Document]]:
        """The EndpointSlices of each Service, those of its Endpoints too."""
        grouped: dict[tuple[str, str], list[Document]] = {}
        there = mirror.chosen(services, endpoints, slices)
        names = {(service.namespace, service.name) for service in services}
        for document in there.slices:
            grouped.setdefault(mirror.service_of(document), []).append(document)
        for document in (*there.written, *there.mirrored):
            if mirror.service_of(document) in names:
                self._warn += outside_warnings(document, self._lab_addresses)
        return grouped

    # -- what the document says ---------------------------------------------------------------------------------------

    def _frame(self, document: Document) -> Service:
        """The Service without addresses of the pools and without backends."""
        spec = document.body.get("spec", {})
        kind = spec.get("type", CLUSTER_IP)
        headless = spec.get("clusterIP") == "None" and kind != EXTERNAL_NAME
        sticky = spec.get("sessionAffinity") == "ClientIP"
        timeout = spec.get("sessionAffinityConfig", {}).get("clientIP", {}).get("timeoutSeconds", _AFFINITY)
        given_ports = () if kind == EXTERNAL_NAME else spec.get("ports", ())
        ports = tuple(
            ServicePort(
                port["port"],
                port.get("protocol", "TCP"),
                port.get("name", ""),
                _target(port),
                0,
                document.at("spec", "ports", number),
            )
            for number, port in enumerate(given_ports)
        )
        return Service(
            document.namespace,
            document.name,
            kind,
            self._own_families(document, spec),
            (),
            ports,
            (),
            spec.get("selector", {}),
            headless,
            spec.get("externalName", "").rstrip(".") if kind == EXTERNAL_NAME else "",
            tuple(map(ip_address, spec.get("externalIPs", ()))) if kind != EXTERNAL_NAME else (),
            (),
            tuple(ip_network(network.strip(), strict=False) for network in spec.get("loadBalancerSourceRanges", ())),
            timeout if sticky else 0,
            spec.get("externalTrafficPolicy") == "Local",
            spec.get("internalTrafficPolicy") == "Local",
            bool(spec.get("publishNotReadyAddresses")),
            SYSTEM in document.body["metadata"].get("annotations", {}),
            document.body["metadata"].get("labels", {}),
            document.mark,
            (how := choice.distribution(spec, document.body["metadata"].get("annotations", {}))),
            self._lab_addresses.zone_weights if how == choice.AUTO else {},
        )

    def _own_families(self, document: Document, spec: Mapping[str, Any]) -> tuple[str, ...]:
        """The families of a Service: stated, else those of its addresses, else the lab's first."""
        given = [f"IPv{ip_address(text).version}" for text in _stated(spec)]
        wanted = list(spec.get("ipFamilies") or given)
        policy = spec.get("ipFamilyPolicy", "RequireDualStack" if len(wanted) > 1 else "SingleStack")
        for family in wanted:
            if family not in self._families:
                where = "ipFamilies" if "ipFamilies" in spec else "clusterIP"
                message = f"Service {document.namespace}/{document.name} wants {family}, and the lab's ipFamilies are {', '.join(self._families)}"
                self._complain(document.at("spec", where), f"spec.{where}", message)
                return self._families[:1]
        if policy == "RequireDualStack" and len(self._families) < 2:
            message = (
                f"the lab has {self._families[0]} alone: say ipFamilies: [IPv4, IPv6] in the Lab, or PreferDualStack"
            )
            self._complain(document.at("spec", "ipFamilyPolicy"), "spec.ipFamilyPolicy", message)
        own = dict.fromkeys([*wanted, *self._families])
        return tuple(own)[:1] if policy == "SingleStack" else tuple(own)

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _keep(self, service: Service, document: Document) -> None:
        """Take the assigned numbers of a running Service out of the pools, unless its document states them."""
        spec, owner = document.body.get("spec", {}), str(service)
        memory = self._memory.get(owner)
        if memory is None or service.kind == EXTERNAL_NAME:
            return
        stated = {ip_address(text).version for text in _stated(spec)}
        for address in map(ip_address, () if service.headless else memory.cluster_ips):
            pool = self._pools.get(f"IPv{address.version}")
            if address.version not in stated and pool is not None and address in pool.network:
                pool.take(address, owner)
        if service.kind not in (NODE_PORT, LOAD_BALANCER):
            return
        for want in _wanted_node_ports(service, spec):
            before = memory.node_ports.get(want.name, 0)
            if before and not want.given:
                self._node_ports[want.protocol].take(before - pools.NODE_PORTS.start, f"{owner} {want.name}")
        if service.kind == LOAD_BALANCER and not spec.get("loadBalancerIP"):
            for text in memory.load_balancer_ips:
                self._balancers.setdefault(ip_address(text), owner)

    def _reserve(self, service: Service, document: Document) -> None:
        """Take stated addresses and ports out of the pools; the same one stated twice is an error."""
        spec, owner = document.body.get("spec", {}), str(service)
        for text in _stated(spec):
            address = ip_address(text)
            pool = self._pools.get(f"IPv{address.version}")
            mark = document.at("spec", "clusterIP")
            if pool is None or service.kind == EXTERNAL_NAME:
                continue  # told where families are
            if address not in pool.network or address == pool.network.network_address:
                message = f"{text} of Service {owner} is outside the Service CIDR {pool.network}"
                self._complain(mark, "spec.clusterIP", message)
            elif other := pool.take(address, owner):
                self._complain(mark, "spec.clusterIP", f"{text} is taken: Service {other} has it")
        for want in _wanted_node_ports(service, spec):
            if not want.given:
                continue
            mark, path = document.at(*want.path), want.field
            if want.given not in pools.NODE_PORTS:
                self._complain(mark, path, f"{want.given} is no node port: they are 30000 to 32767")
                continue
            other = self._node_ports[want.protocol].take(want.given - pools.NODE_PORTS.start, owner)
            if other:
                self._complain(
                    mark, path, f"node port {want.given}/{want.protocol} is taken: Service {other.split(' ')[0]} has it"
                )
        if service.kind == LOAD_BALANCER and (text := spec.get("loadBalancerIP")):
            other = self._balancers.setdefault(ip_address(text), owner)
            if other != owner:
                mark = document.at("spec", "loadBalancerIP")
                self._complain(mark, "spec.loadBalancerIP", f"{text} is taken: Service {other} has it")

    def _alone(self, service: Service, document: Document) -> None:
        """Refuse two Services with the same port of an outside address: kube-proxy would serve either of them."""
        for address in service.outside_ips:
            for port in service.ports:
                other = self._outside.setdefault((address, port.port, port.protocol), service)
                if other is not service and address in (*service.external_ips, *other.external_ips):
                    mark = document.at("spec", "externalIPs")
                    message = f"{port} at {address} is taken: Service {other} has it, and kube-proxy would serve either"
                    self._complain(mark, "spec.externalIPs", message)

    def _numbered(self, service: Service, document: Document) -> Service:
        """The Service with its addresses and node ports; memory first, then free ones."""
        spec, owner = document.body.get("spec", {}), str(service)
        memory = self._memory.get(owner, _NO_MEMORY)
        addresses: tuple[Address, ...] = ()
        if not service.headless and service.kind != EXTERNAL_NAME:
            addresses = self._cluster_ips(service, spec, memory, document)
        ports = service.ports
        if service.kind == NODE_PORT or (
            service.kind == LOAD_BALANCER and spec.get("allocateLoadBalancerNodePorts", True)
        ):
            ports = tuple(
                replace(port, node_port=self._node_port(want, owner, memory, document))
                for port, want in zip(ports, _node_ports(service, spec), strict=True)
            )
        elif service.kind == LOAD_BALANCER:
            given = spec.get("ports", ())
            ports = tuple(
                replace(port, node_port=entry.get("nodePort", 0)) for port, entry in zip(ports, given, strict=True)
            )
        balancers = self._load_balancers(service, spec, memory) if service.kind == LOAD_BALANCER else ()
        health = sum(self._node_port(want, owner, memory, document) for want in _health_port(service, spec))
        return replace(service, cluster_ips=addresses, ports=ports, load_balancer_ips=balancers, health_port=health)

    def _cluster_ips(
        self, service: Service, spec: Mapping[str, Any], memory: ServiceMemory, document: Document
    ) -> tuple[Address, ...]:
        owner = str(service)
        stated = {f"IPv{interface.version}": interface for interface in map(ip_address, _stated(spec))}
        kept = {f"IPv{interface.version}": interface for interface in map(ip_address, memory.cluster_ips)}
        addresses: list[Address] = []
        for family in service.families:
            pool = self._pools[family]
            address: Address | None = stated.get(family)
            before = kept.get(family)
            if address is None and before and before in pool.network and not pool.take(before, owner):
                address = before
            if address is None:
                address = pool.pick(owner)
            if address is None:
                message = f"the Service CIDR {pool.network} is full: no address for Service {owner}"
                self._complain(document.mark, "spec.clusterIP", message)
                continue
            addresses.append(address)
        return tuple(addresses)

    def _node_port(self, want: _NodePort, owner: str, memory: ServiceMemory, document: Document) -> int:
        if want.given:
            return want.given
        numbers, first = self._node_ports[want.protocol], pools.NODE_PORTS.start
        before = memory.node_ports.get(want.name, 0)
        if before and numbers.take(before - first, f"{owner} {want.name}") == "":
            return before
        number = numbers.pick(f"{owner} {want.name}")
        if number is None:
            self._complain(document.mark, want.field, f"all node ports are taken: none for Service {owner}")
            return 0
        return first + number

    def _load_balancers(self, service: Service, spec: Mapping[str, Any], memory: ServiceMemory) -> tuple[Address, ...]:
        owner = str(service)
        if spec.get("loadBalancerIP"):
            return (ip_address(spec["loadBalancerIP"]),)
        if "IPv4" not in service.families:
            return ()
        before = [ip_address(ip) for ip in memory.load_balancer_ips]
        for address in (*before, *pools.LOAD_BALANCERS):
            if self._balancers.setdefault(address, owner) == owner:
                return (address,)
        return ()

    # -- who stands behind it -----------------------------------------------------------------------------------------

    def _filled(self, service: Service, document: Document, slices: Sequence[Document]) -> Service:
        if service.kind == EXTERNAL_NAME:
            return service
        backends = self._selected(service) if service.selector else ()
        taken = {(backend.address, backend.ports) for backend in backends}
        given = (
            backend
            for backend in of_slices(service, slices, self._lab_addresses)
            if (backend.address, backend.ports) not in taken
        )
        return replace(service, backends=(*backends, *given), slice_ports=port_names(slices))

    def _selected(self, service: Service) -> tuple[Backend, ...]:
        pods = self._lab_addresses.selected(service.namespace, service.selector)
        backends = []
        for pod in pods:
            numbers = tuple(pod.port(port.target, port.protocol) for port in service.ports)
            named = pod.subdomain == service.name and pod.has_hostname
            for address in pod.addresses:
                if f"IPv{address.version}" in service.families:
                    hostname = pod.hostname if named else ""
                    backend = Backend(address, numbers, pod.name, pod.node, hostname, pod.ready, serving=pod.ready)
                    backends.append(self._hinted(backend, service))
        return tuple(backends)

    def _hinted(self, backend: Backend, service: Service) -> Backend:
        """With the hints of the EndpointSlice controller; Auto's depend on who is ready."""
        zone, how = self._lab_addresses.zones.get(backend.node, ""), service.distribution
        nodes = (backend.node,) if how == choice.SAME_NODE else ()
        zones = (zone,) if zone and how in (choice.SAME_ZONE, choice.SAME_NODE) else ()
        return replace(backend, zone=zone, for_zones=zones, for_nodes=nodes)


class _Services:
    """The Services of the build before, by namespace and name."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], Service] = {}

    def keep(self, services: Iterable[Service]) -> tuple[Service, ...]:
        """The previous object for each unchanged Service: what was made of a Service is found by its object."""
        now = {(service.namespace, service.name): service for service in services}
        self._before = {
            key: previous if (previous := self._before.get(key)) == service else service for key, service in now.items()
        }
        return tuple(self._before.values())


class _NodePort(NamedTuple):
    """A port that a Service has on every node: its name in the memory, its number where the document states one, its field."""

    name: str
    protocol: str
    given: int
    path: tuple[str | int, ...]
    field: str


def _wanted_node_ports(service: Service, spec: Mapping[str, Any]) -> Iterator[_NodePort]:
    if service.kind in (NODE_PORT, LOAD_BALANCER):
        yield from _node_ports(service, spec)
    yield from _health_port(service, spec)


def _node_ports(service: Service, spec: Mapping[str, Any]) -> Iterator[_NodePort]:
    for number, (port, entry) in enumerate(zip(service.ports, spec.get("ports", ()), strict=True)):
        path = ("spec", "ports", number, "nodePort")
        yield _NodePort(str(port), port.protocol, entry.get("nodePort", 0), path, f"spec.ports[{number}].nodePort")


def _health_port(service: Service, spec: Mapping[str, Any]) -> Iterator[_NodePort]:
    if service.health_checked:
        path = ("spec", "healthCheckNodePort")
        yield _NodePort(HEALTH_CHECK, "TCP", spec.get(path[1], 0), path, ".".join(path))


def _target(entry: Mapping[str, Any]) -> int | str:
    """A port's targetPort; a number in quotes is a number, as the API reads an IntOrString."""
    target = entry.get("targetPort", entry["port"]) or entry["port"]
    return int(target) if isinstance(target, str) and target.isdigit() else target


def _stated(spec: Mapping[str, Any]) -> list[str]:
    """The cluster addresses that a document states."""
    many = [str(ip) for ip in spec.get("clusterIPs", ()) if ip and ip != "None"]
    single = spec.get("clusterIP")
    return many or ([str(single)] if single and single != "None" else [])
