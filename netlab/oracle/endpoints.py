"""The ends that a cluster's flows can have, made once and shared by all flows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.model.cluster import Cluster, External, Node, Pod
from netlab.model.cluster.services import Service
from netlab.model.workloads.ports import HostPort, mapped
from netlab.oracle.flow import ADDRESS, EXTERNAL, NODE, POD, ROUTER, SERVICE, Endpoint, Flow


class Endpoints:
    """An index of a cluster: its Pods and nodes as endpoints, and who has an address.

    A hostNetwork Pod acts from its node's namespace and has its node's addresses.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.nodes: dict[str, Endpoint] = {node.name: _node(node) for node in cluster.nodes}
        self.external: dict[str, Endpoint] = {host.name: _external(host) for host in cluster.external}
        self.host_of: dict[str, External] = {host.name: host for host in cluster.external}
        self.pods: dict[str, Endpoint] = {}
        self.pod_of: dict[str, Pod] = {}
        self.serves: dict[str, dict[tuple[int, str], Pod]] = {name: {} for name in self.nodes}
        self._host_ports: dict[tuple[str, int, str], list[tuple[HostPort, Pod]]] = {}  # by node, port, protocol
        for pod in cluster.pods:
            name = str(pod)
            self.pods[name] = _pod(pod, self.nodes)
            self.pod_of[name] = pod
            if pod.host_network:
                for port in pod.ports:
                    self.serves.setdefault(pod.node, {}).setdefault((port.port, port.protocol), pod)
            addresses = self.nodes[pod.node].addresses
            for mapping in mapped(pod):
                key = (mapping.host_port, mapping.protocol)
                if not mapping.address or mapping.address in addresses:
                    self.serves[pod.node].setdefault(key, pod)
                self._host_ports.setdefault((pod.node, *key), []).append((mapping, pod))
        self.services: dict[str, Endpoint] = {
            str(service): Endpoint(
                SERVICE, str(service), "", tuple(map(str, (*service.cluster_ips, *service.outside_ips)))
            )
            for service in cluster.services
        }
        self._health_checks = {service.health_port: service for service in cluster.services if service.health_port}
        self.service_of: dict[str, Service] = {str(service): service for service in cluster.services}
        self._by_address: dict[str, list[Endpoint]] = {}
        for end in self.all():
            for address in end.addresses:
                self._by_address.setdefault(address, []).append(end)
        for node in cluster.nodes:  # what else the lab's kernel has; nobody is asked by these unless they are typed
            for inner in cluster.inner_addresses(node):
                self._by_address.setdefault(str(inner), []).append(self.nodes[node.name])
        networks = [cidr for node in cluster.nodes for cidr in node.pod_cidrs if cluster.plane.bridge]
        self._anycast = {str(cidr[0]) for cidr in networks if cidr.version == 6}
        for router in _routers(cluster):
            for address in router.addresses:
                self._by_address.setdefault(address, []).append(router)

    def client(self, ends: Sequence[Endpoint]) -> Pod | None:
        """The Pod that sends, where it is the only source: its resolver decides what a DNS name means."""
        return self.pod_of.get(ends[0].name) if len(ends) == 1 and ends[0].kind == POD else None

    def owner(self, flow: Flow) -> Endpoint:
        """The owner of a flow's address: the target itself, unless the target is a bare address."""
        end = flow.dst if flow.dst.kind in (POD, NODE, EXTERNAL) else self.at(flow.address)
        return end if end.kind != SERVICE else Endpoint(ADDRESS, flow.address, "", (flow.address,))

    def node_of(self, end: Endpoint) -> str:
        """The node in whose network namespace an end is; "" for those that have their own, or none in the lab."""
        if end.kind == NODE:
            return end.name
        pod = self.pod_of.get(end.name) if end.kind == POD else None
        return pod.node if pod and pod.host_network else ""

    def host_port(self, flow: Flow) -> tuple[HostPort, Pod] | None:
        """The hostPort that a flow to an address of a node is for, and its Pod.

        The rules speak of local addresses, and an anycast address of a subnet is none.  A port that names a hostIP is
        looked at first.
        """
        if not self._host_ports:
            return None
        mappings = self._host_ports.get((self.node_of(self.owner(flow)), flow.port, flow.protocol))
        if not mappings or self.is_anycast(flow.address):
            return None
        here = [pair for pair in mappings if pair[0].address == flow.address]
        return next(iter(here or [pair for pair in mappings if not pair[0].address]), None)

    def is_anycast(self, address: str) -> bool:
        """Whether a node's bridge has it as its subnet's anycast address: that of its IPv6 tunnel or network."""
        return address in self._anycast

    def behind(self, flow: Flow) -> Flow | None:
        """A flow to a node's hostPort as it goes on from there: to the Pod's own address and port."""
        mapping = self.host_port(flow)
        if mapping is None:
            return None
        port, pod = mapping
        end = self.pods[str(pod)]
        address = next((address for address in end.addresses if (":" in address) == (":" in flow.address)), "")
        return flow._replace(dst=end, address=address, port=port.port) if address else None

    def all(self) -> Iterable[Endpoint]:
        """Pods in document order, then hosts outside, then nodes."""
        yield from self.pods.values()
        yield from self.external.values()
        yield from self.nodes.values()
        yield from (service for service in self.services.values() if service.addresses)

    def everyone(self) -> list[Endpoint]:
        """The default sources and targets: Pods and hosts outside, without the Pods that netlab adds."""
        return [*(self.pods[name] for name, pod in self.pod_of.items() if not pod.system), *self.external.values()]

    def everything(self) -> list[Endpoint]:
        """The default targets: ``everyone``, and the Services of the lab's author."""
        own = [end for name, end in self.services.items() if end.addresses and not self.service_of[name].system]
        return [*self.everyone(), *own]

    def at(self, address: str) -> Endpoint:
        """Who has an address: a node rather than its hostNetwork Pods, anybody rather than a Service that borrows it; a
        bare address where nobody has it.
        """
        owners = self._by_address.get(address, [])
        for owner in owners:
            if owner.kind == NODE:
                return owner
        own = [owner for owner in owners if owner.kind != SERVICE] or owners
        return own[0] if own else Endpoint(ADDRESS, address, "", (address,))

    def health_check(self, owner: Endpoint, flow: Flow) -> Service | None:
        """The Service whose health check kube-proxy serves on this port of a node."""
        service = self._health_checks.get(flow.port) if owner.kind == NODE and flow.protocol == "TCP" else None
        family = "IPv6" if ":" in flow.address else "IPv4"
        return service if service and family in service.families else None

    def ports(self, end: Endpoint, *, undeclared: bool = True) -> list[tuple[int, str]]:
        """The (port, protocol) pairs that an end serves, in the order of the manifest, each once."""
        if end.kind == NODE:
            return list(self.serves.get(end.name, ()))
        if end.kind == SERVICE:
            return [(port.port, port.protocol) for port in self.service_of[end.name].ports]
        if end.kind == EXTERNAL:
            return [(port.port, port.protocol) for port in self.host_of[end.name].ports]
        pod = self.pod_of.get(end.name) if end.kind == POD else None
        ports = pod.ports if pod else ()
        return list(dict.fromkeys((port.port, port.protocol) for port in ports if undeclared or port.declared))


def _node(node: Node) -> Endpoint:
    return Endpoint(NODE, node.name, node.netns, tuple(str(address.ip) for address in node.addresses))


def _routers(cluster: Cluster) -> Iterable[Endpoint]:
    under = cluster.underlay
    own = [str(gateway.ip) for gateway in under.gateways] if not under.racks else []
    spine = [str(interface.ip) for rack in under.racks for _, interface in rack.uplinks]
    yield Endpoint(ROUTER, "the underlay's router", under.netns, (*own, *spine))
    for rack in under.racks:
        gateways = (*(gateway.ip for gateway in rack.gateways), *(uplink.ip for uplink, _ in rack.uplinks))
        yield Endpoint(ROUTER, f"router {rack.name}", rack.netns, tuple(map(str, gateways)))


def _external(host: External) -> Endpoint:
    return Endpoint(EXTERNAL, host.name, host.netns, tuple(str(address.ip) for address in host.addresses))


def _pod(pod: Pod, nodes: dict[str, Endpoint]) -> Endpoint:
    host = nodes.get(pod.node) if pod.host_network else None
    if host:
        return Endpoint(POD, str(pod), host.netns, host.addresses)
    return Endpoint(POD, str(pod), pod.netns, tuple(str(address.ip) for address in pod.addresses))
