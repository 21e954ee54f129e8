"""A node as the others see it: what all their objects name is made once a node, not once for each two of them."""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_network

from netlab.model import Cluster, Network, Node

# Calico's IPAM gives a node blocks of 64 addresses (DEFAULT_IPV4_POOL_BLOCK_SIZE=26, IPv6 122).
_BLOCK = {4: 26, 6: 122}


class Far:
    """Texts, one a family: node addresses, Pod CIDRs, and the first address of each Pod CIDR."""

    def __init__(self, node: Node, cluster: Cluster) -> None:
        self.node, self._cluster = node, cluster
        self.versions = tuple(cidr.version for cidr in node.pod_cidrs)
        self.addresses = tuple(str(address.ip) for address in node.addresses)
        self.cidrs = tuple(map(str, node.pod_cidrs))
        self.firsts = tuple(str(cidr.network_address) for cidr in node.pod_cidrs)

    @cached_property
    def blocks(self) -> tuple[tuple[str, int], ...]:
        """Calico's blocks of the node, as texts, and their IP versions."""
        return tuple((str(block), block.version) for block in blocks(self.node, self._cluster))


def blocks(node: Node, cluster: Cluster) -> list[Network]:
    """The node's blocks: those of its Pod CIDR that have a Pod's address, the first one in any case."""
    networks: dict[Network, None] = {}
    for index, cidr in enumerate(node.pod_cidrs):
        length = max(_BLOCK[cidr.version], cidr.prefixlen)
        networks[ip_network((int(cidr.network_address), length))] = None
        for pod in cluster.pods_of(node):
            networks[ip_network(f"{pod.addresses[index].ip}/{length}", strict=False)] = None
    return sorted(networks, key=lambda network: (network.version, int(network.network_address)))
