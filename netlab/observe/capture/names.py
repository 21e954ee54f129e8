"""Names of a lab's addresses, for readers of a capture, and addresses of names, for filters.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netlab.errors import BadInput
from netlab.model.cluster import Cluster
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.selectors import Selector


def of_addresses(cluster: Cluster) -> Mapping[str, list[str]]:
    """Each address with its names, the most telling first: Pods, Services, nodes, hosts outside."""
    names_of: dict[str, list[str]] = {}

    def call(address: object, *names: str) -> None:
        named = names_of.setdefault(str(address), [])
        named += [name for name in names if name not in named]

    for node in cluster.nodes:
        for interface in node.addresses:
            call(interface.ip, node.name)
    for pod in cluster.pods:
        if not pod.host_network:
            short = pod.name if pod.namespace == "default" else f"{pod.namespace}/{pod.name}"
            for interface in pod.addresses:
                call(interface.ip, short)
    for service in cluster.services:
        name = f"{service.name}.{service.namespace}.svc"
        for address in (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips):
            call(address, name)
    for node in cluster.nodes:
        for cidr, gateway in zip(node.pod_cidrs, node.gateways, strict=True):
            # The bridge's address, and the network's own: that is the tunnel device's, as flannel does it.
            call(gateway.ip, node.name)
            call(cidr.network_address, node.name)
    for host in cluster.external:
        for interface in host.addresses:
            call(interface.ip, host.name)
    for gateway in cluster.underlay.gateways:
        call(gateway.ip, "underlay")
    for rack in cluster.underlay.racks:
        for gateway in rack.gateways:
            call(gateway.ip, rack.name)
    return names_of


def resolver(cluster: Cluster, namespace: str = "default") -> Callable[[str], list[str]]:
    """The addresses of a word in a filter, read as ``oracle.selectors`` reads it.  The result raises BadInput."""
    endpoints = Endpoints(cluster)

    def addresses(word: str) -> list[str]:
        try:
            targets = Selector.parse(word, namespace).select(endpoints)
        except ValueError as error:
            raise BadInput(f"--filter: {error}") from None
        return list(dict.fromkeys(address for target in targets for address in target.addresses))

    return addresses
