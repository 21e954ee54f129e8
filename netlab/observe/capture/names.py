"""What the addresses of a lab are called, for readers of a capture, and the other way round for filters.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.model.cluster import Cluster


def of_addresses(cluster: Cluster) -> Mapping[str, list[str]]:
    """Each address with its names, the most telling first: Pods, Services, nodes, hosts outside."""
    found: dict[str, list[str]] = {}

    def call(address: object, *names: str) -> None:
        known = found.setdefault(str(address), [])
        known += [name for name in names if name not in known]

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
    return found


def to_addresses(cluster: Cluster) -> Mapping[str, list[str]]:
    """Each name that a filter may have, with its addresses: Pods, nodes, hosts outside, ``svc/NAME[.NAMESPACE]``."""
    found: dict[str, list[str]] = {}
    for host in cluster.external:
        found[host.name] = [str(one.ip) for one in host.addresses]
    for node in cluster.nodes:
        found[node.name] = [str(one.ip) for one in node.addresses]
    for pod in cluster.pods:
        addresses = [str(one.ip) for one in pod.addresses]
        found[str(pod)] = addresses
        if pod.namespace == "default":
            found[pod.name] = addresses
    for service in cluster.services:
        # A headless one's name is its Pods', as for DNS.
        addresses = [str(one) for one in service.cluster_ips] or [str(one.address) for one in service.serving]
        if addresses:
            found[f"svc/{service.name}.{service.namespace}"] = addresses
            if service.namespace == "default":
                found[f"svc/{service.name}"] = addresses
    return found
