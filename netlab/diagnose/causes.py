"""Which of the lab's differences from what it should be made the packet fail.

netlab knows what the kernel should be (``plan.desired``) and can look at what it is (``plan.drift``).  A difference is a
cause only where this packet needed the object: the route that its address takes, the neighbour, forwarding entry, port or
link on its way, a sysctl of a namespace that it had to pass.  What differs elsewhere is not named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.objects import (
    Addr,
    Fdb,
    Key,
    Link,
    Listener,
    Neigh,
    Netns,
    NftChain,
    NftSet,
    NftTable,
    Obj,
    Op,
    Port,
    Process,
    Route,
    Sysctl,
    Verb,
)
from netlab.objects.base import Floor
from netlab.objects.links import Device, Veth
from netlab.plan import render
from netlab.plan.drift import Drift

_MOST = 3  # causes that are told; a lab that is in ruins has hundreds
_SHORT = 2  # lines behind the first: what asked for it, and one that mends it
_QUIET = ("icmp_ratelimit", "icmp_ratemask", "icmp.ratelimit", "accept_ra", "accept_dad")


def causes(story: Story, drift: Drift, place: str) -> list[Finding]:
    """The differences that this packet met, those at ``place`` (where it was lost or left its way) first."""
    return _Blame(story, place).findings(drift)


class _Blame:
    def __init__(self, story: Story, place: str) -> None:
        self._story, self._place = story, place
        ways = [story.journey.question]
        if story.arrived and story.journey.answer is not None:
            ways.append(story.journey.answer)
        self._hops = {(hop.netns, hop.interface) for way in ways for hop in way.hops}
        for left, seen in ((story.question_left, story.question), (story.answer_left, story.answer)):
            if left is not None and left.went is not None:  # else what was seen besides are a bridge's copies
                self._hops |= {(one.netns, one.interface) for one in seen}
        self._namespaces = {netns for netns, _ in self._hops} | {story.recording.probe.netns}
        self._order = {
            netns: number for number, netns in enumerate(dict.fromkeys(netns for netns, _ in self._passed()))
        }

    def _passed(self) -> Iterable[tuple[str, str]]:
        for way in (self._story.journey.question, self._story.journey.answer):
            if way is not None:
                yield from ((hop.netns, hop.interface) for hop in way.hops)
        yield from ((one.netns, one.interface) for one in self._story.question)

    def findings(self, drift: Drift) -> list[Finding]:
        rated = []
        for number, op in enumerate(drift.operations):
            weight = self._weight(op)
            if weight:
                near = 0 if self._at(op.obj, self._place) else 1
                rated.append(((near, weight, self._order.get(op.obj.netns, 99), number), op))
        rated.sort(key=lambda row: row[0])
        found = [self._finding(op) for op in self._without_doubles([op for _, op in rated])][:_MOST]
        # The command that shows all differences is named once.
        return [*found[:1], *(replace(one, look=one.look[1:]) for one in found[1:])]

    def _without_doubles(self, ops: list[Op]) -> Iterable[Op]:
        """What is made anew (removed, then created) is a change; what hangs on a link that is gone is not told."""
        seen: set[Key] = set()
        removed = {op.obj.key: op.obj for op in ops if op.verb is Verb.DELETE}
        made = {op.obj.key: op.obj for op in ops if op.verb is Verb.CREATE}
        gone = {place for one in ops for place in _lost(one)}
        tables = {(one.obj.netns, one.obj.place) for one in ops if isinstance(one.obj, NftTable)}
        for op in ops:
            hangs = op.obj.floor is not Floor.LINK and (op.obj.netns, getattr(op.obj, "dev", "")) in gone
            inside = isinstance(op.obj, (NftChain, NftSet)) and (op.obj.netns, op.obj.place) in tables
            if op.obj.key not in seen and not hangs and not inside:
                key = op.obj.key
                seen.add(key)
                yield Op(Verb.UPDATE, made[key], removed[key]) if key in removed and key in made else op

    @staticmethod
    def _at(obj: Obj, netns: str) -> bool:
        if isinstance(obj, Veth):
            return netns in (obj.end.netns, obj.peer.netns)
        return obj.netns == netns

    def _finding(self, op: Op) -> Finding:
        (kind, _, first), *rest = (line.partition(": ") for line in render.drifted(op).splitlines())
        look = [text.strip() for word, _, text in rest if word.strip() == "mend by"]
        lab = self._story.recording.lab
        wanted = f", wanted by {op.obj.why.says}" if op.verb is not Verb.DELETE and op.obj.why.says else ""
        interface = op.obj.name if op.obj.floor is Floor.LINK else str(getattr(op.obj, "dev", ""))
        return Finding(
            "drift",
            f"{kind}, and this packet needed it: {first}{wanted}"
            if op.verb is not Verb.DELETE
            else f"{kind}, and on the path of this packet: {first}",
            self._where(op.obj),
            interface,
            (f"netlab diff {lab}", look[0] if len(look) == 1 and len(rest) <= _SHORT else f"netlab up {lab}"),
            mark=op.obj.why.mark if op.verb is not Verb.DELETE else None,
            root=True,
        )

    def _where(self, obj: Obj) -> str:
        """Of a veth the end that the packet was lost at, where it was one of them."""
        if isinstance(obj, Veth) and obj.peer.netns == self._place:
            return self._place
        return obj.netns

    # -- what the packet needed ---------------------------------------------------------------------------------------

    def _weight(self, op: Op) -> int:
        """1 for what this packet certainly needed, 2 for what it may have; 0 for what it did not."""
        obj = op.obj
        for kind, judge in _JUDGES:
            if isinstance(obj, kind):
                return int(judge(self, op, obj))
        return 0

    def _link(self, op: Op, obj: Obj) -> int:
        if isinstance(obj, Veth):
            ends = ((obj.end.netns, obj.end.name), (obj.peer.netns, obj.peer.name))
            return 1 if any(one in self._hops for one in ends) else 0
        return 1 if (obj.netns, obj.name) in self._hops else 0

    def _port(self, op: Op, obj: Port) -> int:
        return 1 if (obj.netns, obj.dev) in self._hops else 0

    def _route(self, op: Op, obj: Route) -> int:
        if obj.netns not in self._namespaces:
            return 0
        network = ip_network(obj.dst)
        for address in self._story.addresses:
            one = ip_address(address)
            if one.version != network.version or one not in network:
                continue
            best = self._story.known.route(obj.netns, address)
            length = ip_network(best.dst).prefixlen if best else -1
            if (
                op.verb is Verb.DELETE
                and network.prefixlen >= length
                and not self._story.known.local(obj.netns, address)
            ):
                return 1
            if op.verb is not Verb.DELETE and best is not None and network.prefixlen == length:
                return 1
        return 0

    def _addr(self, op: Op, obj: Addr) -> int:
        address = str(ip_interface(obj.address).ip)
        if address in self._story.addresses or address in self._vias():
            return 1
        if obj.netns not in self._namespaces:
            return 0
        covers = any(
            ip_address(one).version == ip_interface(obj.address).version
            and ip_address(one) in ip_interface(obj.address).network
            for one in self._story.addresses
        )
        return 2 if covers and (obj.netns, obj.dev) in self._hops else 0

    def _vias(self) -> set[str]:
        """The next hops of every address in every namespace of the way."""
        found = set()
        for netns in self._namespaces:
            for address in self._story.addresses:
                hop = self._story.known.route(netns, address)
                if hop is not None:
                    found.add(hop.via)
        return found

    def _neigh(self, op: Op, obj: Neigh) -> int:
        near = obj.netns in self._namespaces and obj.address in self._vias()
        return 1 if near and (obj.netns, obj.dev) in self._hops else 0

    def _fdb(self, op: Op, obj: Fdb) -> int:
        if (obj.netns, obj.dev) not in self._hops:
            return 0
        known, wanted = self._story.known, set()
        for address in self._story.addresses:
            hop = known.route(obj.netns, address)
            if hop is not None:
                wanted.add(known.neighbour(obj.netns, hop.dev, hop.via))
        seen = {one.packet.link.target for one in (*self._story.question, *self._story.answer) if one.packet.link}
        return 1 if obj.mac in wanted | seen or obj.mac == "00:00:00:00:00:00" else 0

    def _sysctl(self, op: Op, obj: Sysctl) -> int:
        if obj.netns not in self._namespaces or any(word in obj.path for word in _QUIET):
            return 0
        if obj.link and (obj.netns, obj.link) not in self._hops:
            return 0
        six = "ipv6" in obj.path or "ip6tables" in obj.path
        wanted = any((":" in one) == six for one in self._story.addresses)
        return 1 if wanted else 0

    def _nft(self, op: Op, obj: Obj) -> int:
        return 2 if obj.netns in self._namespaces else 0

    def _netns(self, op: Op, obj: Netns) -> int:
        return 1 if obj.netns in self._namespaces else 0

    def _listener(self, op: Op, obj: Listener) -> int:
        target = self._story.journey.question
        ports = {one.packet.innermost.dport for one in self._story.question} | {self._story.recording.probe.port}
        return 1 if obj.netns == target.netns and obj.port in ports and self._story.arrived_at_target else 0

    def _process(self, op: Op, obj: Process) -> int:
        return 2 if obj.netns == self._story.journey.question.netns and self._story.arrived_at_target else 0

    def _foreign(self, op: Op, obj: Link) -> int:
        return 1 if (obj.netns, obj.dev) in self._hops else 0


def _lost(op: Op) -> list[tuple[str, str]]:
    """The interfaces that are gone or down: the kernel takes routes and neighbours along."""
    obj = op.obj
    if obj.floor is not Floor.LINK:
        return []
    if op.verb is not Verb.UPDATE:
        return [(obj.netns, obj.name), *([(obj.peer.netns, obj.peer.name)] if isinstance(obj, Veth) else [])]
    if isinstance(op.have, Veth):
        return [(end.netns, end.name) for end in (op.have.end, op.have.peer) if not end.up]
    down = isinstance(op.have, Device) and not op.have.up
    return [(obj.netns, obj.name)] if down else []


_JUDGES: tuple[tuple[Any, Callable[[_Blame, Op, Any], int]], ...] = (
    ((Veth, Device), _Blame._link),
    (Port, _Blame._port),
    (Route, _Blame._route),
    (Addr, _Blame._addr),
    (Neigh, _Blame._neigh),
    (Fdb, _Blame._fdb),
    (Sysctl, _Blame._sysctl),
    ((NftTable, NftChain, NftSet), _Blame._nft),
    (Netns, _Blame._netns),
    (Listener, _Blame._listener),
    (Process, _Blame._process),
    (Link, _Blame._foreign),
)
