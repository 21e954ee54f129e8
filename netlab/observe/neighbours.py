"""Which neighbours must be known beforehand, so that all pairs do not overflow the kernel's neighbour table.

That table is one for all network namespaces of the machine and holds 1,024 entries that the kernel learned itself
(gc_thresh3; only the first namespace may raise it).  33 Pods on one bridge, all pairs, are more than that, and when it
overflows the host's own network fails too.  Permanent entries are not counted.  So while a source is probed, it has
one for each target on its own segment, and each of these has one for the source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple, Protocol

from netlab.model.cluster import Cluster, Interface, Network

#: Below this many ordered pairs on one machine ARP is left to itself: a small lab shows what a real one shows.
PAIRS_MIN = 200
POD_DEVICE = "eth0"


class Pin(NamedTuple):
    """One permanent neighbour: in this namespace, on this device, the address has this MAC."""

    netns: str
    dev: str
    address: str
    mac: str


class Pins(Protocol):
    """Who writes the entries into the kernel.  Both must bear entries that are there, or gone, already."""

    def add(self, entries: Iterable[Pin]) -> None: ...

    def remove(self, entries: Iterable[Pin]) -> None: ...


class Neighbours:
    """Adds and removes pins for sources, counting: two sources may need one entry."""

    def __init__(self, cluster: Cluster, writer: Pins) -> None:
        self._writer = writer
        self._held: Counter[Pin] = Counter()
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

    def between(self, sources: Iterable[str], targets: Set[str]) -> Iterator[Pin]:
        """Both directions of each pair of a source's and a target's address that share a segment.

        They do where the target is inside the source interface's network: then the source asks by ARP for the target
        itself and not for a gateway.
        """
        for source in sources:
            known = self._at.get(source)
            if known is None:
                continue
            netns, mac, interface = known
            for address in self._segment(interface.network) & targets:
                if address != source:
                    its_netns, its_mac, _ = self._at[address]
                    yield Pin(netns, POD_DEVICE, address, its_mac)
                    yield Pin(its_netns, POD_DEVICE, source, mac)

    def _segment(self, network: Network) -> frozenset[str]:
        found = self._near.get(network)
        if found is None:
            inside = (address for address, (_, _, interface) in self._at.items() if interface.ip in network)
            found = self._near[network] = frozenset(inside)
        return found

    def hold(self, pins: Iterable[Pin]) -> None:
        new = [pin for pin in pins if self._count(pin) == 1]
        if new:
            self._writer.add(new)

    def _count(self, pin: Pin) -> int:
        self._held[pin] += 1
        return self._held[pin]

    def release(self, pins: Iterable[Pin]) -> None:
        gone = []
        for pin in pins:
            self._held[pin] -= 1
            if self._held[pin] <= 0:
                del self._held[pin]
                gone.append(pin)
        if gone:
            self._writer.remove(gone)

    def release_all(self) -> None:
        """What is still held, after an error or Ctrl-C."""
        left = list(self._held)
        self._held.clear()
        if left:
            self._writer.remove(left)
