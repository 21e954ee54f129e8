"""Numbers for Services: cluster addresses, node ports, load balancer addresses.

Kubernetes draws cluster addresses and node ports at random.  Ours come from a hash of the Service's name, so they are
the same in every run and do not move when another Service is added before it; what clashes takes the next free one.
As in Kubernetes, the lower band of each range is left to those who write an address down themselves, and is used only
when the upper one is full.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from netlab.digest import sha256
from netlab.model.cluster.services import Address, Network

NODE_PORTS = range(30000, 32768)
# TEST-NET-3's upper half: the lower one is where hosts outside are.
LOAD_BALANCERS: Network = ip_network("203.0.113.128/25")


def static_band(size: int, divisor: int, largest: int) -> int:
    """How many numbers at the beginning of a range are left to explicit choices: size/divisor, between 16 and largest.

    Kubernetes' own formula: 256 of a /16 of addresses (divisor 16), 86 of 2,768 node ports (divisor 32).
    """
    return 0 if size <= 16 else min(max(16, size // divisor), largest)


class Numbers:
    """The numbers 0 to size - 1; ``owner`` has the owner of each taken number."""

    def __init__(self, size: int, band: int) -> None:
        self._size, self._band = size, band
        self.owner: dict[int, str] = {}

    def take(self, number: int, owner: str) -> str:
        """Reserve a number; returns who has it already, or ""."""
        other = self.owner.setdefault(number, owner)
        return "" if other == owner else other

    def pick(self, owner: str) -> int | None:
        """A free number for a name, by a hash of it; None if all are taken."""
        for number in self._candidates(owner):
            if number not in self.owner:
                self.owner[number] = owner
                return number
        return None

    def _candidates(self, owner: str) -> Iterator[int]:
        if not self._size:
            return
        start = int.from_bytes(sha256(owner)[:8], "big")
        upper = self._size - self._band
        for step in range(upper):
            yield self._band + (start + step) % upper
        yield from range(self._band)


class AddressPool:
    """The addresses of a Service CIDR: not the network's own, nor IPv4's broadcast address."""

    def __init__(self, network: Network) -> None:
        self.network = network
        usable = network.num_addresses - (2 if network.version == 4 else 1)
        size = max(0, min(usable, 1 << 20))
        self._numbers = Numbers(size, static_band(size, 16, 256))
        self._base = int(network.network_address) + 1

    def take(self, address: Address, owner: str) -> str:
        """Reserve an address; returns who has it already, or ""."""
        return self._numbers.take(int(address) - self._base, owner)

    def pick(self, owner: str) -> Address | None:
        """A free address for a Service."""
        number = self._numbers.pick(owner)
        return None if number is None else self.network[number + 1]


def node_ports() -> Numbers:
    """The node ports of one protocol, counted from 30000."""
    return Numbers(len(NODE_PORTS), static_band(len(NODE_PORTS), 32, 128))
