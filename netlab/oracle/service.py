"""The translation of flows by Services: the possible backends, or the reason why there is none.

The same decisions as kube-proxy's rules (``plan.services``), made from the cluster: which node translates, which
backends it may choose, what the backend's node sees as the source.

Limits: a backend is chosen at random, so of several the oracle names none; nor which of them a client keeps by affinity.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from netlab.model.cluster import Cluster
from netlab.model.cluster.services import EXTERNAL_NAME, Backend, Service
from netlab.model.services import choice
from netlab.model.services.outside import announced
from netlab.objects import Why
from netlab.oracle import absent
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import EXTERNAL, NODE, Endpoint, Flow, Outcome
from netlab.tuples import NamedTuple

_CLUSTER, _OUTSIDE, _NODE_PORT = "cluster", "outside", "nodePort"


class ServicePaths(NamedTuple):
    """The paths of a flow to a Service: the flows to its possible backends (``flows``), or its end.

    ``here`` is the node that translates.  ``masqueraded``: the backends see its address and not the source's.  ``far``:
    it is another node than the source's, which lets the packet out to the address that was asked.  ``sticky``: why a
    client keeps its backend, None where it does not.  ``detail``: why nobody is behind it.
    """

    flows: tuple[Flow, ...]
    because: Why
    outcome: Outcome = Outcome.OPEN
    masqueraded: bool = False
    far: bool = False
    sticky: Why | None = None
    here: str = ""
    detail: str = ""

    @property
    def whole(self) -> Why:
        """``because`` with its ``detail``."""
        return self.because._replace(message=f"{self.because.message}: {self.detail}") if self.detail else self.because


class _Front(NamedTuple):
    """A port of a Service at one of its addresses: ``number`` is the port's number in it."""

    service: Service
    number: int
    how: str


class ServiceIndex:
    """An index of all Services by address, port and protocol."""

    def __init__(self, cluster: Cluster, endpoints: Endpoints) -> None:
        self._cluster, self._endpoints = cluster, endpoints
        self._fronts: dict[tuple[str, int, str], _Front] = {}
        self._node_ports: dict[tuple[int, str], _Front] = {}
        self._cluster_ips: dict[str, Service] = {}
        self._primary: dict[str, str] = {}
        self._announced = {str(address): by for address, by in announced(cluster).items()}
        self._last: tuple[Flow | None, ServicePaths | None] = None, None
        self._zones = {node.name: node.labels.get(choice.ZONE, "") for node in cluster.nodes}
        if not cluster.services:
            return
        for node in cluster.nodes:
            self._primary |= {str(interface.ip): node.name for interface in node.addresses}
        for service in cluster.services:
            if service.kind == EXTERNAL_NAME:
                continue
            self._cluster_ips |= {str(address): service for address in service.cluster_ips}
            for index, port in enumerate(service.ports):
                key = (port.port, port.protocol)
                for address in service.cluster_ips:
                    self._fronts[str(address), *key] = _Front(service, index, _CLUSTER)
                for address in service.outside_ips:
                    self._fronts[str(address), *key] = _Front(service, index, _OUTSIDE)
                if port.node_port:
                    self._node_ports[port.node_port, port.protocol] = _Front(service, index, _NODE_PORT)

    def of(self, flow: Flow) -> ServicePaths | None:
        """The paths of a flow to a Service; None if it goes to none.  Whoever looks at each path asks for one flow often."""
        if not self._primary:
            return None
        if self._last[0] is not flow:
            self._last = flow, self._of(flow)
        return self._last[1]

    def _of(self, flow: Flow) -> ServicePaths | None:
        front, here = self._front(flow)
        if front is None:
            return self._nowhere(flow)
        # Of two chains of one priority the kernel asks the later one first, and portmap comes after kube-proxy.
        if here and self._endpoints.host_port(flow) and self._endpoints.node_of(self._endpoints.owner(flow)) == here:
            return None
        if not here:
            return self._unknown_outside(flow)
        return self._paths(flow, front, here)

    def _front(self, flow: Flow) -> tuple[_Front | None, str]:
        """The port of a Service that a flow is for, and the node that translates."""
        front, here = self._fronts.get((flow.address, flow.port, flow.protocol)), self._node_of(flow.src)
        if front is not None and self._on_link(flow):
            front = None
        if front is not None and not here and front.how == _OUTSIDE:
            here = self._entry(flow.address)
            front = front if here else None
        if front is None and (node := self._primary.get(flow.address)) is not None:
            return self._node_ports.get((flow.port, flow.protocol)), node
        return front, here

    def notes(self, flow: Flow) -> Iterable[str]:
        """Notes on a Service with backends: endpoints that are left out, and session affinity."""
        paths, (front, _) = self.of(flow), self._front(flow)
        if paths is None or front is None or not paths.flows:
            return
        yield from absent.left_out(self._cluster, front.service, front.number, 6 if ":" in flow.address else 4)
        if paths.sticky and len(paths.flows) > 1:
            yield paths.sticky.message

    def _on_link(self, flow: Flow) -> bool:
        """Whether a Pod looks for the address on its own segment, so that no node's rules meet the packet."""
        pod = self._endpoints.pod_of.get(flow.src.name)
        if pod is None or pod.host_network or not self._cluster.plane.bridge:
            return False
        near = any(ip_address(flow.address) in interface.network for interface in pod.addresses)
        return near and self._endpoints.at(flow.address).kind != NODE

    def _entry(self, address: str) -> str:
        """The node that gets what a host outside sends to an address; "" where it goes to none."""
        if (by := self._announced.get(address)) is not None:
            return by.node
        if (node := self._primary.get(address)) is not None:
            return node
        under, asked = self._cluster.underlay, ip_address(address)
        if not (under.racks and under.learns_pod_routes):
            return ""
        return next((node.name for node in self._cluster.nodes if any(asked in cidr for cidr in node.pod_cidrs)), "")

    def _nowhere(self, flow: Flow) -> ServicePaths | None:
        """A flow to an address of Services without that port, or to an unused Service address."""
        here = self._node_of(flow.src)
        if flow.address in self._announced:
            return self._looping(flow, here)
        if not here:
            return self._unknown_outside(flow)
        service = self._cluster_ips.get(flow.address)
        if service is not None:
            why = Why(f"Service {service} has no port {flow.port}/{flow.protocol}", service.mark)
            return ServicePaths((), why, Outcome.REFUSED)
        address = ip_address(flow.address)
        if any(address in cidr for cidr in self._cluster.service_cidrs):
            return ServicePaths((), Why(f"no Service has the address {flow.address}"), Outcome.TIMEOUT)
        return None

    def _looping(self, flow: Flow, here: str) -> ServicePaths:
        """Router and node hand it to each other until its time is over, and the router says so."""
        service, node = self._announced[flow.address]
        under, plane = self._cluster.underlay, self._cluster.plane
        by_node = bool(self._endpoints.node_of(flow.src))
        if here == node:
            # It comes back to the node that it left: IPv4 drops it as forged, IPv6 passes a node's own on.
            lost = not (by_node and ":" in flow.address)
        else:
            # Masqueraded again where it only passes, it comes back as the node's own.
            lost = plane.masquerades_transit or under.drop_foreign_sources
            lost = lost or not (not here or by_node or self._cluster.masquerades)
        why = Why(f"Service {service} has no port {flow.port}/{flow.protocol} at {flow.address}", service.mark)
        # It leaves the source's node, whose policies see it first.
        return ServicePaths((), why, Outcome.TIMEOUT if lost else Outcome.UNREACHABLE, far=here not in ("", node))

    def _unknown_outside(self, flow: Flow) -> ServicePaths | None:
        """From a host outside: the router has no way to the addresses of Services."""
        address = ip_address(flow.address)
        if not any(address in cidr for cidr in self._cluster.service_cidrs):
            return None
        why = Why("the underlay's router has no route to the addresses of Services", self._cluster.underlay.mark)
        return ServicePaths((), why, Outcome.UNREACHABLE)

    def _paths(self, flow: Flow, front: _Front, here: str) -> ServicePaths:
        service, port = front.service, front.service.ports[front.number]
        why = Why(f"Service {service} port {port}", port.mark or service.mark)
        is_v6 = ":" in flow.address
        listed = [
            backend
            for backend in service.backends
            if backend.ports[front.number] and (backend.address.version == 6) == is_v6
        ]
        own, zone = self._node_of(flow.src), self._zones.get(here, "")
        far = bool(own) and own != here
        behind = choice.everywhere(service, listed, here, zone)
        if front.how == _OUTSIDE and not self._let_in(flow, service, is_v6=is_v6):
            message = f"Service {service} lets only its loadBalancerSourceRanges in"
            return ServicePaths((), Why(message, service.mark), Outcome.TIMEOUT, far=far)
        if not behind:
            missing = absent.why_none(self._cluster, service, front.number, 6 if is_v6 else 4)
            none = Why(f"Service {service} has no endpoint for port {port}", service.mark)
            # A node that forwards refuses with its own address, and with the one that was asked if that is its own.
            dropped = self.answers_dropped(flow) and self._endpoints.at(flow.address).kind == NODE
            return ServicePaths((), none, Outcome.TIMEOUT if dropped else Outcome.REFUSED, far=far, detail=missing)
        chosen, masqueraded = self._chosen(flow, front, here, behind, choice.near(service, listed, here))
        if not chosen:
            side = "internal" if front.how == _CLUSTER else "external"
            message = f"Service {service} has no endpoint on node {here}, and its {side}TrafficPolicy is Local"
            return ServicePaths((), Why(message, service.mark), Outcome.TIMEOUT, far=far)
        flows = tuple(self._to(flow, backend, backend.ports[front.number], here, masqueraded) for backend in chosen)
        return ServicePaths(flows, why, Outcome.OPEN, masqueraded, far, _affinity(service), here)

    def _chosen(
        self, flow: Flow, front: _Front, here: str, behind: list[Backend], near: list[Backend]
    ) -> tuple[list[Backend], bool]:
        """The backends that the translating node may choose, and whether it masquerades."""
        service = front.service
        own = self._node_of(flow.src) == here
        pod = self._endpoints.pod_of.get(flow.src.name)
        from_node = flow.src.kind == NODE or (pod is not None and pod.host_network)
        if front.how == _CLUSTER:
            return (near if service.internal_local else behind), from_node
        if not service.external_local:
            return behind, True
        if own and from_node:
            return behind, True
        # A Pod of another node comes with its own address, unless its node masquerades what leaves the Pods' network.
        if pod is not None and not from_node and (own or not self._cluster.masquerades):
            return behind, False
        return near, False

    def _to(self, flow: Flow, backend: Backend, number: int, here: str, masqueraded: bool) -> Flow:
        """The flow as the backend's node gets it.

        Policies on the translating node still see the real source (postrouting comes after them), on another node the
        masquerading one's.  What came to another node's port was masqueraded before, as all that leaves the cluster.
        """
        end = self._endpoints.pods.get(backend.pod) or self._endpoints.at(str(backend.address))
        source = flow.src
        own = self._node_of(flow.src)
        if masqueraded and self._node_of(end) != here and here in self._endpoints.nodes:
            source = self._endpoints.nodes[here]
        elif own and own != here and (self._cluster.masquerades or flow.src.kind == NODE):
            source = self._endpoints.nodes[own]
        return flow._replace(src=source, dst=end, address=str(backend.address), port=number)

    def answers_dropped(self, flow: Flow) -> bool:
        """Whether the underlay drops what answers a host outside, since the Service's address is no node's."""
        outside = not self._node_of(flow.src) and flow.address not in self._primary
        return outside and self._cluster.underlay.drop_foreign_sources

    def _let_in(self, flow: Flow, service: Service, *, is_v6: bool) -> bool:
        balanced = flow.address in map(str, service.load_balancer_ips)
        ranges = [network for network in service.source_ranges if (network.version == 6) == is_v6]
        if not balanced or not service.source_ranges:
            return True
        own = next((address for address in flow.src.addresses if (":" in address) == is_v6), None)
        return own is not None and any(ip_address(own) in network for network in ranges)

    def _node_of(self, end: Endpoint) -> str:
        """The node whose rules a source's packets meet first; "" for a host outside."""
        if end.kind == NODE:
            return end.name
        pod = self._endpoints.pod_of.get(end.name) if end.kind != EXTERNAL else None
        return pod.node if pod else ""


def _affinity(service: Service) -> Why | None:
    message = f"Service {service} keeps a client at one backend for {service.affinity} s (sessionAffinity ClientIP)"
    return Why(message, service.mark) if service.affinity else None
