"""Addresses for Pods: host-local's order (the gateway has .1, the first Pod .2), with memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_interface

from netlab.model.cluster import Address, Interface, Network, Node


class Pool:
    """The addresses of all nodes' Pod CIDRs; ``take`` reserves one, ``addresses`` gives a Pod one a family.

    ``prefixes``: the networks whose prefix length Pods have on their interface, where it is not their node's CIDR's.
    """

    def __init__(self, nodes: Sequence[Node], prefixes: Sequence[Network] = ()) -> None:
        self._lengths = {network.version: network.prefixlen for network in prefixes}
        self._owner: dict[Address, str] = {}
        self._late: dict[Address, None] = {}
        self._next: dict[Network, int] = {cidr: 2 for node in nodes for cidr in node.pod_cidrs}

    def holds(self, node: Node, addresses: Iterable[str]) -> bool:
        """Whether all the addresses lie in the node's Pod CIDRs, one for each."""
        texts = tuple(addresses)
        return len(texts) == len(node.pod_cidrs) and all(
            any(ip_address(text) in cidr for cidr in node.pod_cidrs) for text in texts
        )

    def take(self, address: Address, pod: str) -> str:
        """Reserve an address for a Pod; returns the Pod that has it already, or an empty string."""
        other = self._owner.setdefault(address, pod)
        return "" if other == pod else other

    def defer(self, addresses: Iterable[str]) -> None:
        """Give these last, as host-local does: Pods that are deleted now had them."""
        self._late.update(dict.fromkeys(map(ip_address, addresses)))

    def addresses(self, node: Node, pod: str, given: Sequence[Address]) -> tuple[Interface, ...]:
        """One address of each of the node's CIDRs: of those ``given`` where it has one, else the lowest free one.

        Empty where a CIDR is full.
        """
        addresses = []
        for cidr in node.pod_cidrs:
            address = next((candidate for candidate in given if candidate in cidr), None) or self._lowest(cidr, pod)
            if address is None:
                return ()
            addresses.append(ip_interface(f"{address}/{self._lengths.get(cidr.version, cidr.prefixlen)}"))
        return tuple(addresses)

    def _lowest(self, cidr: Network, pod: str) -> Address | None:
        last = cidr.num_addresses - (2 if cidr.version == 4 else 1)  # the last IPv4 address is the broadcast's
        base = int(cidr.network_address)
        number = self._next[cidr]
        while number <= last:
            address = ip_address(base + number) if cidr.version == 4 else cidr[number]
            self._next[cidr] = number = number + 1
            if address not in self._owner and address not in self._late:
                self._owner[address] = pod
                return address
        left = next((candidate for candidate in self._late if candidate in cidr and candidate not in self._owner), None)
        if left is not None:
            self._owner[left] = pod
        return left
