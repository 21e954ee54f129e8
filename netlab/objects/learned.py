"""What the kernel learns from packets: no desired state lists it, and it is wrong where it contradicts the lab.

Neighbours and forwarding entries are ``Neigh`` and ``Fdb`` with the reason ``LEARNED``; what has no other class is here.
A neighbour that failed is not wrong: the next packet asks for it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import ClassVar

from netlab.objects.base import Floor, Key, Obj
from netlab.objects.ip import Addr, Fdb, Neigh
from netlab.objects.links import Port, Veth, settings
from netlab.objects.nft import NftChain
from netlab.values import dataclass

_DNAT = re.compile(r"\b(tcp|udp) (?:dport \d+ )?dnat to (\S+)")


@dataclass(frozen=True, slots=True)
class PathMtu(Obj):
    """The MTU of a path that an ICMP error told of; kept for ten minutes."""

    kind: ClassVar[str] = "path-mtu"
    floor: ClassVar[Floor] = Floor.ROUTE

    address: str
    mtu: int

    @property
    def name(self) -> str:
        return f"{self.address} mtu {self.mtu}"

    def explain(self, *, exact: bool = False) -> str:
        return f"# the kernel learns that packets to {self.address} may have {self.mtu} bytes"

    def undo(self) -> str:
        return f"ip {'-6 ' if ':' in self.address else ''}-n {self.netns} route flush cache"


@dataclass(frozen=True, slots=True)
class Conntrack(Obj):
    """The tracking entry of a flow to ``address`` and ``port`` that is translated to ``server``: later packets follow it.

    ``raw`` is the kernel's tuple.
    """

    kind: ClassVar[str] = "conntrack"
    floor: ClassVar[Floor] = Floor.ROUTE

    protocol: str
    source: str
    source_port: int
    address: str
    port: int
    server: str
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def name(self) -> str:
        there = f"[{self.address}]" if ":" in self.address else self.address
        return (
            f"{self.protocol} {self.source} port {self.source_port} to {there}:{self.port}, translated to {self.server}"
        )

    def explain(self, *, exact: bool = False) -> str:
        return f"# the kernel tracks {self.name}"

    def undo(self) -> str:
        ends = f"-s {self.source} -d {self.address} --sport {self.source_port} --dport {self.port}"
        return f"ip netns exec {self.netns} conntrack -D -p {self.protocol} {ends}"


def dnat_targets(chain: NftChain) -> Iterator[tuple[str, str]]:
    """(protocol, ``address:port``) of each server that a chain translates to."""
    for rule in chain.rules:
        target = _DNAT.search(rule)
        if target:
            yield target[1], target[2]


def contradicted(want: Mapping[Key, Obj], learned: Iterable[Obj]) -> list[Obj]:
    """What was learned and is not so in the lab."""
    by_kind: dict[type[Obj], list[Obj]] = {}
    for obj in learned:
        by_kind.setdefault(type(obj), []).append(obj)
    return [obj for kind, there in by_kind.items() for obj in _JUDGES[kind](want, there)]


def _neighbours(want: Mapping[Key, Obj], learned: Iterable[Obj]) -> Iterator[Obj]:
    """Those of addresses whose namespace has no link of that MAC (a link answers for all addresses of its namespace)."""
    macs: dict[str, set[str]] = {}
    for obj in want.values():
        if obj.floor is Floor.LINK:
            for end in settings(obj):
                macs.setdefault(end.netns, set()).add(end.mac)
    owners: dict[str, set[str]] = {}
    for obj in want.values():
        if isinstance(obj, Addr):
            owners.setdefault(obj.address.partition("/")[0], set()).update(macs.get(obj.netns, ()))
    for entry in learned:
        if isinstance(entry, Neigh) and entry.mac not in owners.get(entry.address, {entry.mac}):
            yield entry


def _entries(want: Mapping[Key, Obj], learned: Iterable[Obj]) -> Iterator[Obj]:
    """Those that lead to another port than the one whose cable ends at that MAC, on the same bridge."""
    masters = {(obj.netns, obj.dev): obj.master for obj in want.values() if isinstance(obj, Port)}
    ports: dict[tuple[str, str, str], set[str]] = {}
    for obj in want.values():
        if isinstance(obj, Veth):
            for near, far in ((obj.end, obj.peer), (obj.peer, obj.end)):
                if (master := masters.get((near.netns, near.name))) is not None:
                    ports.setdefault((near.netns, master, far.mac), set()).add(near.name)
    for entry in learned:
        if isinstance(entry, Fdb) and (master := masters.get((entry.netns, entry.dev))) is not None:
            right = ports.get((entry.netns, master, entry.mac))
            if right is not None and entry.dev not in right:
                yield entry


def _paths(want: Mapping[Key, Obj], learned: Iterable[Obj]) -> Iterator[Obj]:
    """Those that are smaller than each link of the lab.

    Of IPv6 by more than what a tunnel takes: a node with IPv6 tunnels learns a path that is encapsulated twice.
    """
    mtus = [end.mtu for obj in want.values() if obj.floor is Floor.LINK for end in settings(obj)]
    least = min(mtus, default=0)
    least6 = 2 * least - max(mtus, default=0)
    for path in learned:
        if isinstance(path, PathMtu) and path.mtu < (least6 if ":" in path.address else least):
            yield path


def _flows(want: Mapping[Key, Obj], learned: Iterable[Obj]) -> Iterator[Obj]:
    """Those that are translated to a server that no rule of the lab there translates to."""
    servers = {
        (obj.netns, *target) for obj in want.values() if isinstance(obj, NftChain) for target in dnat_targets(obj)
    }
    for flow in learned:
        if isinstance(flow, Conntrack) and (flow.netns, flow.protocol, flow.server) not in servers:
            yield flow


_JUDGES: dict[type[Obj], Callable[[Mapping[Key, Obj], Iterable[Obj]], Iterator[Obj]]] = {
    Neigh: _neighbours,
    Fdb: _entries,
    PathMtu: _paths,
    Conntrack: _flows,
}
