"""Static neighbour entries, so that probes of all pairs do not overflow the kernel's neighbour table.

That table is one for all network namespaces of the machine and holds 1,024 entries that the kernel learned itself
(gc_thresh3; only the first namespace may raise it).  33 Pods on one bridge, all pairs, are more than that, and when it
overflows the host's own network fails too.  Permanent entries are not counted.  So while a source is probed, it has
one for each target on its own segment, and each of these has one for the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from typing import Protocol

from netlab.model.cluster import Cluster, Interface, Network
from netlab.tuples import NamedTuple

#: Below this many ordered pairs on one machine nothing is added: a small lab resolves by ARP, as a real one does.
PAIRS_MIN = 200
POD_DEVICE = "eth0"


class StaticNeighbour(NamedTuple):
    """One permanent neighbour entry: in this namespace, on this device, the address has this MAC."""

    netns: str
    dev: str
    address: str
    mac: str


class NeighbourWriter(Protocol):
    """Writes the entries into the kernel.  Adding an entry that exists or removing one that is gone is no error."""

    def add(self, entries: Iterable[StaticNeighbour]) -> None: ...

    def remove(self, entries: Iterable[StaticNeighbour]) -> None: ...


class StaticNeighbours:
    """Adds and removes entries for sources, and counts their users: two sources may need the same entry."""

    def __init__(self, cluster: Cluster, writer: NeighbourWriter) -> None:
        self._writer = writer
        self._held: Counter[StaticNeighbour] = Counter()
        self._at: dict[str, tuple[str, str, Interface]] = {}  # address -> netns, mac, interface
        self._near: dict[Network, frozenset[str]] = {}  # segment -> the Pods' addresses on it
        here: Counter[str] = Counter()
        for pod in cluster.pods:
            if not pod.host_network:
                here[pod.node] += 1
                for interface in pod.addresses:
                    self._at[str(interface.ip)] = (pod.netns, pod.mac, interface)
        pairs = sum(count * (count - 1) for count in here.values())
        self.wanted = pairs >= PAIRS_MIN

    def between(self, sources: Iterable[str], targets: Set[str]) -> Iterator[StaticNeighbour]:
        """Both directions of each pair of a source's and a target's address that share a segment.

        They do where the target is inside the source interface's network: then the source asks by ARP for the target
        itself and not for a gateway.
        """
        for source in sources:
            owner = self._at.get(source)
            if owner is None:
                continue
            netns, mac, interface = owner
            for address in self._segment(interface.network) & targets:
                if address != source:
                    its_netns, its_mac, _ = self._at[address]
                    yield StaticNeighbour(netns, POD_DEVICE, address, its_mac)
                    yield StaticNeighbour(its_netns, POD_DEVICE, source, mac)

    def _segment(self, network: Network) -> frozenset[str]:
        addresses = self._near.get(network)
        if addresses is None:
            inside = (address for address, (_, _, interface) in self._at.items() if interface.ip in network)
            addresses = self._near[network] = frozenset(inside)
        return addresses

    def hold(self, entries: Iterable[StaticNeighbour]) -> None:
        new = [entry for entry in entries if self._count(entry) == 1]
        if new:
            self._writer.add(new)

    def _count(self, entry: StaticNeighbour) -> int:
        self._held[entry] += 1
        return self._held[entry]

    def release(self, entries: Iterable[StaticNeighbour]) -> None:
        gone = []
        for entry in entries:
            self._held[entry] -= 1
            if self._held[entry] <= 0:
                del self._held[entry]
                gone.append(entry)
        if gone:
            self._writer.remove(gone)

    def release_all(self) -> None:
        """Remove all entries that are left, after an error or Ctrl-C."""
        left = list(self._held)
        self._held.clear()
        if left:
            self._writer.remove(left)
