"""Frames, rules and drops as one list of events, in the order in which the packet met them.

Theory of operation
-------------------
Frames have the kernel's time; of one skb in one namespace the times can be equal, then the socket's order is right, so
(time, order) orders them.  Rules have no time: each traversal of a base chain is put where its hook stands on the
packet's way through that namespace.  Its headers say which frame: as it came in (prerouting), on its way through
(input, forward), as it will leave (output, postrouting).  Under br_netfilter prerouting is run for the bridge's port,
before the bridge itself has the frame, which by then has another address: the frame that still has the address that
the rule saw is the right one.  Drops have the kernel's time on another clock, whose offset is measured: one that seems
to precede its own packet's last frame there by a little is put after it.

Every event has the number of its packet: 1 is the question, each of its retransmissions and the answer are others.

Limits: a packet that passes a namespace twice in the same form (a loop) gets its rules at the first pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from netlab.diagnose.identity import ANSWER, ERROR, NEIGHBOUR, QUESTION, TITLES, Identity, Recogniser, identity
from netlab.evidence.records import OUT, BaseChain, Drop, Frame, Recording, RuleSeen
from netlab.wire import packets
from netlab.wire.packets import Packet

FRAME, RULES, DROP = "frame", "rules", "drop"
PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING = "prerouting", "input", "forward", "output", "postrouting"
OWN_TABLE = "nltrace"  # how the names of the tracer's own tables begin; they judge nothing
_SKEW = 1_000_000  # ns by which a drop's clock may be off


@dataclass(frozen=True, slots=True)
class Step:
    """One rule of a traversal: ``verdict`` accept, drop, jump, ...; ``target`` the chain of a jump or goto.

    ``handle`` 0: the chain's policy or its end.  ``text`` is what nft prints of the rule, "" where that was not asked for.
    """

    chain: str
    handle: int
    verdict: str
    target: str = ""
    comment: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A base chain's traversal.  ``verdict`` is what became of the packet there."""

    family: str
    table: str
    chain: str
    hook: str
    priority: int
    steps: tuple[Step, ...]
    verdict: str
    iif: str = ""
    oif: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was seen of a packet.

    ``kind`` FRAME, RULES or DROP; ``way`` QUESTION, ANSWER, ERROR or NEIGHBOUR; ``number`` its packet's; ``time`` in ns
    of CLOCK_REALTIME, of RULES the one of the frame that they belong to.  ``notes``: what happened since it was seen last.
    ``data``: of a FRAME its bytes.
    """

    kind: str
    time: int
    netns: str
    interface: str
    way: str
    number: int
    packet: Packet
    direction: str = ""
    length: int = 0
    judgement: Judgement | None = None
    drop: Drop | None = None
    notes: tuple[str, ...] = ()
    data: bytes = field(default=b"", compare=False, repr=False)
    order: tuple[int, str, int, int, int] = field(default=(0, "", 0, 0, 0), compare=False, repr=False)


def correlate(recording: Recording) -> tuple[Event, ...]:
    """The events of the probe's packets and of what belongs to them, in order."""
    return _Correlation(recording).events()


class _Correlation:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._who = Recogniser(recording.probe)
        self._numbers: dict[tuple[Identity, int], int] = {}
        self._again: dict[Identity, int] = {}
        self._first: dict[Identity, tuple[str, str, int]] = {}
        self._parts: dict[tuple[int, int], int] = {}
        self._frames: list[Event] = []

    def events(self) -> tuple[Event, ...]:
        for frame in sorted(self._recording.frames, key=lambda one: (one.time, one.netns, one.order)):
            event = self._frame(frame)
            if event is not None:
                self._frames.append(event)
        rules = list(self._rules())
        drops = [event for one in sorted(self._recording.drops, key=lambda one: one.time) if (event := self._drop(one))]
        found = sorted((*self._frames, *rules, *drops), key=lambda one: one.order)
        return tuple(_relevant(found, self._recording.probe.netns))

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _number(self, packet: Packet, place: tuple[str, str] | None = None) -> int:
        """The packet's number; ``place`` is where it leaves an interface: the first one again means an attempt more."""
        outermost = packet
        if outermost.offset and (known := self._parts.get((outermost.protocol, outermost.ident))):
            return known
        key = identity(packet)
        hops = packet.innermost.hops
        if place is not None and packet.innermost.version == 6 and packet.innermost.arp is None:
            first = self._first.setdefault(key, (*place, hops))
            if first[:2] == place and key in self._again and hops >= first[2]:
                self._again[key] += 1
        again = self._again.setdefault(key, 0)
        number = self._numbers.setdefault((key, again), len(self._numbers) + 1)
        for layer in packet.layers:
            if layer.fragment or (layer.ident and layer.version == 4):
                self._parts[layer.protocol, layer.ident] = number
        return number

    # -- frames -------------------------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> Event | None:
        packet = packets.frame(frame.data)
        way = self._who.way(packet)
        if not way:
            return None
        place = (frame.netns, frame.interface) if frame.direction == OUT else None
        return Event(
            FRAME,
            frame.time,
            frame.netns,
            frame.interface,
            way,
            self._number(packet, place),
            packet,
            frame.direction,
            frame.length,
            data=frame.data,
            order=(frame.time, frame.netns, frame.order, 0, 0),
        )

    # -- rules --------------------------------------------------------------------------------------------------------

    def _rules(self) -> Iterable[Event]:
        chains = {(one.netns, one.family, one.table, one.chain): one for one in self._recording.chains}
        known = {(one.netns, one.family, one.table, one.chain, one.handle): one for one in self._recording.rules}
        for group in _traversals(self._recording.rules_seen):
            first = group[0]
            if first.table.startswith(OWN_TABLE):
                continue
            steps = []
            for one in group:
                key = (one.netns, one.family, one.table, one.chain, one.handle)
                meant = known.get(key) if one.handle else None
                steps.append(
                    Step(
                        one.chain,
                        one.handle if one.kind == "rule" else 0,
                        one.verdict,
                        one.target,
                        meant.comment if meant else "",
                        meant.text if meant else "",
                    )
                )
            base = chains.get((first.netns, first.family, first.table, first.chain))
            event = self._placed(group, tuple(steps), base)
            if event is not None:
                yield event

    def _placed(self, group: Sequence[RuleSeen], steps: tuple[Step, ...], base: BaseChain | None) -> Event | None:
        first = group[0]
        packet = packets.network(first.network + first.transport, first.link)
        hook = base.hook if base else ""
        mine = self._same(first.netns, packet)
        way = self._who.way(packet) or self._who.outer(packet)
        anchor, phase = _anchor(mine, packet, hook)
        if not way and anchor is None and packet.protocol == packets.UDP and packet.inner is None:
            # The outer packet of a tunnel, judged before any socket saw it: whose inner packet came last is its own.
            anchor = self._last(first.netns)
            phase, way = 1, anchor.way if anchor else ""
        if not way:
            return None
        if anchor is None:
            anchor, phase = self._last(first.netns), 1
        verdicts = [one for one in steps if one.verdict not in ("continue", "jump", "goto", "return")]
        judged = Judgement(
            first.family,
            first.table,
            first.chain,
            hook,
            base.priority if base else 0,
            steps,
            verdicts[-1].verdict if verdicts else "continue",
            next((one.iif for one in group if one.iif), ""),
            next((one.oif for one in group if one.oif), ""),
        )
        time = anchor.time if anchor else self._recording.probe.sent
        order = (*anchor.order[:3], phase, first.order) if anchor else (time, first.netns, -1, 1, first.order)
        number = anchor.number if anchor and mine else self._number(packet) if packet.innermost.protocol else 0
        interface = (judged.oif if hook in (OUTPUT, POSTROUTING) else judged.iif) or (
            anchor.interface if anchor else ""
        )
        if anchor is not None and not mine:
            number = anchor.number
        return Event(
            RULES, time, first.netns, interface, way, number, packet, judgement=judged, order=order
        )  # fmt: skip

    def _last(self, netns: str) -> Event | None:
        """The last frame of the packets themselves in a namespace."""
        return next((one for one in reversed(self._frames) if one.netns == netns and one.way != NEIGHBOUR), None)

    def _same(self, netns: str, packet: Packet) -> list[Event]:
        """The frames of a namespace that are this packet, seen with this layer outermost."""
        key = identity(packet)
        found = []
        for event in self._frames:
            if event.netns == netns:
                whole = event.packet.inner is None
                if (
                    identity(event.packet) == key
                    if whole
                    else packet.inner is None and _same_outer(event.packet, packet)
                ):
                    found.append(event)
        return found

    # -- drops --------------------------------------------------------------------------------------------------------

    def _drop(self, drop: Drop) -> Event | None:
        packet = packets.network(drop.network, drop.link, drop.protocol)
        way = self._who.way(packet) or self._who.outer(packet)
        if not way:
            return None
        number = self._number(packet)
        own = [one for one in self._frames if one.netns == drop.netns and one.number == number]
        time, place = drop.time, (drop.time, "~", 0)
        if own and 0 <= own[-1].time - drop.time < _SKEW:
            time, place = own[-1].time, own[-1].order[:3]
        return Event(DROP, time, drop.netns, drop.interface, way, number, packet, drop=drop, order=(*place, 2, 0))


def _traversals(seen: Iterable[RuleSeen]) -> Iterable[list[RuleSeen]]:
    """The events of each namespace, cut where a base chain's traversal begins: only there headers are told.

    A rule that rejects sends its ICMP error before it ends: that packet's traversals stand inside of its own, so what
    comes without headers behind a finished one belongs to the one that is still open.
    """
    by_netns: dict[str, list[RuleSeen]] = defaultdict(list)
    for one in seen:
        by_netns[one.netns].append(one)
    for events in by_netns.values():
        groups: list[list[RuleSeen]] = []
        unfinished: list[list[RuleSeen]] = []
        for one in sorted(events, key=lambda each: each.order):
            if one.network:
                groups.append([one])
                unfinished.append(groups[-1])
            else:
                while len(unfinished) > 1 and _ends(unfinished[-1][-1]):
                    unfinished.pop()
                if unfinished:
                    unfinished[-1].append(one)
        yield from groups


def _ends(one: RuleSeen) -> bool:
    return one.verdict not in ("continue", "jump", "goto", "return")


def _same_outer(seen: Packet, packet: Packet) -> bool:
    return seen.ends == packet.ends and (seen.version == 6 or seen.ident == packet.ident)


def _anchor(frames: Sequence[Event], packet: Packet, hook: str) -> tuple[Event | None, int]:
    """The frame that a traversal stands next to, and on which side: 1 behind it, -1 before it."""
    arrived = [one for one in frames if one.direction != OUT]
    left = [one for one in frames if one.direction == OUT]
    if hook in (PREROUTING, "ingress") or (hook in (INPUT, FORWARD) and arrived):
        if hook == PREROUTING:
            same = [one for one in arrived if one.packet.ends == packet.ends and one.packet.hops == packet.hops]
            # A bridge's port comes before the bridge; both have the same address where nothing was translated.
            found = same or arrived
            return (found[0] if found else None), 1
        # Forwarding has counted the TTL down already where the packet is routed, and not where it is bridged.
        same = [one for one in arrived if one.packet.hops in (packet.hops, packet.hops + 1)]
        return (same or arrived)[-1], 1
    same = [one for one in left if one.packet.hops == packet.hops]
    if same:
        return same[0], -1
    return (arrived[-1] if arrived else None), 1


def _relevant(events: Sequence[Event], home: str) -> list[Event]:
    """The events, less what neighbours asked each other where the packet has not been."""
    been = {home}
    addresses: set[str] = set()
    for event in events:
        if event.way != NEIGHBOUR:
            been.add(event.netns)
            addresses |= {one for layer in event.packet.layers for one in (layer.source, layer.target)}
    kept = []
    asked: set[str] = set()
    begun = next((one.time for one in events if one.way != NEIGHBOUR), 0)
    for event in events:
        if event.way == NEIGHBOUR:
            arp = event.packet.innermost.arp
            assert arp is not None
            if event.time < begun and event.netns != home:
                continue  # a neighbour looked after before the packet was on its way
            near = event.netns in been and event.direction == OUT
            if arp.request and (near or arp.asked in addresses):
                asked.add(arp.asked)
            elif arp.asked not in asked:
                continue
        kept.append(event)
    return kept


__all__ = [
    "ANSWER",
    "DROP",
    "ERROR",
    "FRAME",
    "NEIGHBOUR",
    "QUESTION",
    "RULES",
    "TITLES",
    "Event",
    "Judgement",
    "Step",
    "correlate",
]
