"""The node that receives packets to an outside address of a Service."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.model.cluster import Cluster
from netlab.model.cluster.services import Address, Service
from netlab.tuples import NamedTuple


class Announced(NamedTuple):
    """The Service and the node for which the underlay's routers have a route to an address."""

    service: Service
    node: str


def announced(cluster: Cluster) -> dict[Address, Announced]:
    """The addresses that routers must know: those that no host of the lab has and that lie in no network of it.

    The first of two Services with one address announces it.
    """
    addresses = {interface.ip for node in cluster.nodes for interface in node.addresses}
    addresses |= {interface.ip for host in cluster.external for interface in host.addresses}
    inside = (*cluster.underlay.cidrs, *cluster.pod_cidrs, *cluster.service_cidrs)
    nodes = [node.name for node in cluster.nodes]
    routes: dict[Address, Announced] = {}
    for service in cluster.services:
        for address in service.outside_ips:
            if address not in addresses and not any(address in cidr for cidr in inside):
                routes.setdefault(address, Announced(service, _announcer(service, nodes)))
    return routes


def _announcer(service: Service, nodes: Sequence[str]) -> str:
    """With externalTrafficPolicy Local the first node that has a backend, else the first of all.

    Load balancers that answer by ARP (MetalLB's layer 2) choose a node likewise.
    """
    can = [backend for backend in service.backends if service.counts_ready(backend) or backend.lasting]
    near = {backend.node for backend in can} if service.external_local else set()
    return next((node for node in nodes if node in near), nodes[0])
