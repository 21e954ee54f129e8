"""One namespace as the kernel dumps it: links by index, addresses, routes, neighbours, rules, qdiscs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from netlab.objects import Addr, Fdb, Neigh, Odd, Qdisc, Route, Rule


class RawLink(NamedTuple):
    """One link as the kernel dumps it.  ``number`` is its interface index, ``link`` the peer's or lower device's index, ``nsid`` its namespace's id.

    ``works``: its operational state lets it; ``qdisc``: its root qdisc, where it is one that somebody put there; ``conf`` its sysctls of both families
    (``kernel.linkconf``).
    """

    number: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    master: int
    link: int
    nsid: int | None
    addrgen: str
    altname: str
    alias: str
    data: dict[int, bytes]
    port: dict[int, int]
    works: bool = True
    odds: tuple[Odd, ...] = ()
    port_odds: tuple[Odd, ...] = ()
    conf: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


@dataclass(slots=True)
class Picture:
    """What one namespace holds."""

    links: dict[int, RawLink] = field(default_factory=dict)
    addrs: list[Addr] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    neighs: list[Neigh] = field(default_factory=list)
    learned: list[Neigh] = field(default_factory=list)
    fdbs: list[Fdb] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    qdiscs: list[Qdisc] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)

    @property
    def alias(self) -> str:
        """The mark on lo."""
        lo = self.links.get(1)
        return lo.alias if lo else ""
