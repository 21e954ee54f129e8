"""Merge frames, rules and drops into one list of events, in the order of the packet's path.

Theory of operation
-------------------
Frames have the kernel's time.  Times of one skb in one namespace can be equal; the socket's order then decides, so the
sort key is (time, order).  Rules have no time: a base chain's traversal is placed where its hook is on the packet's
path through the namespace.  Its headers identify the frame: as received (prerouting), on the way through (input,
forward), or as sent (output, postrouting).  Under br_netfilter, prerouting runs for the bridge's port, before the
bridge has the frame, and the bridge's frame may have a translated address.  The right frame has the address that the
rule saw.  Drops have the kernel's time on another clock, whose offset is measured.  A drop that seems to precede its
packet's last frame there by a little is placed after it.

Every event has its packet's number: 1 is the request; each retransmission and the reply have their own.

Limits: a packet that passes a namespace twice in the same form (a loop) gets its rules at the first pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import field

from netlab.diagnose.sightings.identity import ERROR, NEIGHBOUR, REPLY, REQUEST, TITLES, Identity, Recogniser, identity
from netlab.evidence.records import OUT, BaseChain, Drop, Frame, Recording, RuleSeen
from netlab.tuples import NamedTuple
from netlab.values import dataclass
from netlab.wire import packets
from netlab.wire.packets import Packet

FRAME, RULES, DROP = "frame", "rules", "drop"
PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING = "prerouting", "input", "forward", "output", "postrouting"
OWN_TABLE = "nltrace"  # prefix of the tracer's own tables, which have no verdicts
_SKEW = 1_000_000  # ns, the error of a drop's clock


@dataclass(frozen=True, slots=True)
class Step:
    """A rule of a traversal: ``verdict`` accept, drop, jump, ...; ``target`` is the chain of a jump or goto.

    ``handle`` 0: the chain's policy or its end.  ``text`` is nft's form of the rule, "" if it was not requested.
    """

    chain: str
    handle: int
    verdict: str
    target: str = ""
    comment: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A base chain's traversal.  ``verdict`` is its result for the packet."""

    family: str
    table: str
    chain: str
    hook: str
    priority: int
    steps: tuple[Step, ...]
    verdict: str
    iif: str = ""
    oif: str = ""


class Change(NamedTuple):
    """What happened to a packet between two sightings: ``text`` in words, and the same for programs.

    ``kind`` is bridged, taken-up (by the bridge's own namespace), routed (``source`` and ``target`` are TTLs), wrapped,
    unwrapped, decrypted (unseen since the device ``source``), dnat, snat, fragmented, reassembled, misaddressed (a foreign MAC) or proxied; else ``source`` and
    ``target`` are the ends, addresses or interfaces before and after.  ``by``: the device that did it.  ``undone``: a
    reply's translation back.  ``outer``: of the tunnel's packet.
    """

    kind: str
    text: str
    source: str = ""
    target: str = ""
    by: str = ""
    size: int = 0
    vni: int | None = None
    undone: bool = False
    outer: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A sighting, a chain traversal or a drop of a packet.

    ``kind`` is FRAME, RULES or DROP; ``role`` is REQUEST, REPLY, ERROR or NEIGHBOUR; ``number`` is the packet's
    number. ``time`` is in ns of CLOCK_REALTIME; RULES have the time of their frame.  ``changes`` of a FRAME are those
    since the last sighting, ``meant`` what RULES did, in words.  ``after`` is the index of that sighting among the
    events.  ``data``: the bytes of a FRAME; ``bare``: without an Ethernet header.
    """

    kind: str
    time: int
    netns: str
    interface: str
    role: str
    number: int
    packet: Packet
    direction: str = ""
    length: int = 0
    judgement: Judgement | None = None
    drop: Drop | None = None
    changes: tuple[Change, ...] = ()
    meant: str = ""
    after: int | None = None
    data: bytes = field(default=b"", compare=False, repr=False)
    bare: bool = False
    order: tuple[int, str, int, int, int] = field(default=(0, "", 0, 0, 0), compare=False, repr=False)

    @property
    def at(self) -> tuple[str, str]:
        """The namespace and the interface."""
        return self.netns, self.interface

    @property
    def notes(self) -> tuple[str, ...]:
        """What happened since the last event of the packet, in words."""
        return (self.meant,) if self.meant else tuple(change.text for change in self.changes)


def correlate(recording: Recording) -> tuple[Event, ...]:
    """The events of the probe's packets and of related packets, in order."""
    return _Correlation(recording).events()


class _Correlation:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._recogniser = Recogniser(recording.probe)
        self._numbers: dict[tuple[Identity, int], int] = {}
        self._again: dict[Identity, int] = {}
        self._first: dict[Identity, tuple[str, str, int]] = {}
        self._parts: dict[tuple[int, int], int] = {}
        self._frames: list[Event] = []

    def events(self) -> tuple[Event, ...]:
        for frame in sorted(self._recording.frames, key=lambda record: (record.time, record.netns, record.order)):
            event = self._frame(frame)
            if event is not None:
                self._frames.append(event)
        rules = list(self._rules())
        drops = [
            event for drop in sorted(self._recording.drops, key=lambda drop: drop.time) if (event := self._drop(drop))
        ]
        events = sorted((*self._frames, *rules, *drops), key=lambda sighting: sighting.order)
        return tuple(_relevant(events, self._recording.probe.netns))

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _number(self, packet: Packet, interface: tuple[str, str] | None = None) -> int:
        """The packet's number.  The packet's second sighting at ``interface``, its first, is a retransmission."""
        outermost = packet
        if outermost.offset and (part := self._parts.get((outermost.protocol, outermost.ident))):
            return part
        key = identity(packet)
        hops = packet.innermost.hops
        if interface is not None and packet.innermost.version == 6 and packet.innermost.arp is None:
            first = self._first.setdefault(key, (*interface, hops))
            if first[:2] == interface and key in self._again and hops >= first[2]:
                self._again[key] += 1
        again = self._again.setdefault(key, 0)
        number = self._numbers.setdefault((key, again), len(self._numbers) + 1)
        for layer in packet.layers:
            if layer.fragment or (layer.ident and layer.version == 4):
                self._parts[layer.protocol, layer.ident] = number
        return number

    # -- frames -------------------------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> Event | None:
        packet = packets.read(frame.data, bare=frame.bare)
        role = self._recogniser.role(packet)
        if not role:
            return None
        interface = (frame.netns, frame.interface) if frame.direction == OUT else None
        return Event(
            kind=FRAME,
            time=frame.time,
            netns=frame.netns,
            interface=frame.interface,
            role=role,
            number=self._number(packet, interface),
            packet=packet,
            direction=frame.direction,
            length=frame.length,
            data=frame.data,
            bare=frame.bare,
            order=(frame.time, frame.netns, frame.order, 0, 0),
        )

    # -- rules --------------------------------------------------------------------------------------------------------

    def _rules(self) -> Iterable[Event]:
        chains = {(chain.netns, chain.family, chain.table, chain.chain): chain for chain in self._recording.chains}
        rules = {(rule.netns, rule.family, rule.table, rule.chain, rule.handle): rule for rule in self._recording.rules}
        foreign = {
            (rule.netns, rule.family, rule.table, rule.chain, rule.handle): rule.text
            for rule in self._recording.foreign
        }
        for group in _traversals(self._recording.rules_seen):
            first = group[0]
            if first.table.startswith(OWN_TABLE):
                continue
            steps = []
            for seen in group:
                key = (seen.netns, seen.family, seen.table, seen.chain, seen.handle)
                meant = rules.get(key) if seen.handle else None
                steps.append(
                    Step(
                        chain=seen.chain,
                        handle=seen.handle if seen.kind == "rule" else 0,
                        verdict=seen.verdict,
                        target=seen.target,
                        comment=meant.comment if meant else "",
                        text=foreign.get(key, "") or (meant.text if meant else ""),
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
        role = self._recogniser.role(packet) or self._recogniser.outer(packet)
        anchor, phase = _anchor(mine, packet, hook)
        if not role and anchor is None and packet.protocol == packets.UDP and packet.inner is None:
            # A tunnel's outer packet, before its first sighting: it belongs to the last inner packet.
            anchor = self._last(first.netns)
            phase, role = 1, anchor.role if anchor else ""
        if not role and packet.is_error:
            role = ERROR  # only traced packets are here; of what an error quotes, a trace event has too little
        if not role:
            return None
        if anchor is None:
            anchor, phase = self._last(first.netns), 1
        verdicts = [step for step in steps if step.verdict not in ("continue", "jump", "goto", "return")]
        judged = Judgement(
            family=first.family,
            table=first.table,
            chain=first.chain,
            hook=hook,
            priority=base.priority if base else 0,
            steps=steps,
            verdict=verdicts[-1].verdict if verdicts else "continue",
            iif=next((seen.iif for seen in group if seen.iif), ""),
            oif=next((seen.oif for seen in group if seen.oif), ""),
        )
        time = anchor.time if anchor else self._recording.probe.sent
        order = (*anchor.order[:3], phase, first.order) if anchor else (time, first.netns, -1, 1, first.order)
        number = anchor.number if anchor and mine else self._number(packet) if packet.innermost.protocol else 0
        interface = (judged.oif if hook in (OUTPUT, POSTROUTING) else judged.iif) or (
            anchor.interface if anchor else ""
        )
        if anchor is not None and not mine:
            number = self._number(packet) if role == ERROR else anchor.number
        return Event(
            kind=RULES,
            time=time,
            netns=first.netns,
            interface=interface,
            role=role,
            number=number,
            packet=packet,
            judgement=judged,
            order=order,
        )

    def _last(self, netns: str) -> Event | None:
        """The last frame of a namespace, neighbour discovery aside."""
        return next(
            (event for event in reversed(self._frames) if event.netns == netns and event.role != NEIGHBOUR), None
        )

    def _same(self, netns: str, packet: Packet) -> list[Event]:
        """The frames of a namespace that are this packet, with this layer outermost."""
        key = identity(packet)
        events = []
        for event in self._frames:
            if event.netns == netns:
                whole = event.packet.inner is None
                if (
                    identity(event.packet) == key
                    if whole
                    else packet.inner is None and _same_outer(event.packet, packet)
                ):
                    events.append(event)
        return events

    # -- drops --------------------------------------------------------------------------------------------------------

    def _drop(self, drop: Drop) -> Event | None:
        packet = packets.network(drop.network, drop.link, drop.protocol)
        role = self._recogniser.role(packet) or self._recogniser.outer(packet)
        if not role:
            return None
        number = self._number(packet)
        own = [event for event in self._frames if event.netns == drop.netns and event.number == number]
        time, order = drop.time, (drop.time, "~", 0)
        if own and 0 <= own[-1].time - drop.time < _SKEW:
            time, order = own[-1].time, own[-1].order[:3]
        return Event(
            kind=DROP,
            time=time,
            netns=drop.netns,
            interface=drop.interface,
            role=role,
            number=number,
            packet=packet,
            drop=drop,
            order=(*order, 2, 0),
        )


def _traversals(seen: Iterable[RuleSeen]) -> Iterable[list[RuleSeen]]:
    """Split each namespace's trace events into base chain traversals; only the first event has headers.

    A rule that rejects sends its ICMP error before its own traversal ends, so that packet's traversals are nested.
    Events without headers after a finished traversal belong to the one that is still open.
    """
    by_netns: dict[str, list[RuleSeen]] = defaultdict(list)
    for seen_rule in seen:
        by_netns[seen_rule.netns].append(seen_rule)
    for events in by_netns.values():
        groups: list[list[RuleSeen]] = []
        unfinished: list[list[RuleSeen]] = []
        for seen_rule in sorted(events, key=lambda each: each.order):
            if seen_rule.network:
                groups.append([seen_rule])
                unfinished.append(groups[-1])
            else:
                while len(unfinished) > 1 and _ends(unfinished[-1][-1]):
                    unfinished.pop()
                if unfinished:
                    unfinished[-1].append(seen_rule)
        yield from groups


def _ends(rule: RuleSeen) -> bool:
    return rule.verdict not in ("continue", "jump", "goto", "return")


def _same_outer(seen: Packet, packet: Packet) -> bool:
    return seen.ends == packet.ends and (seen.version == 6 or seen.ident == packet.ident)


def _anchor(frames: Sequence[Event], packet: Packet, hook: str) -> tuple[Event | None, int]:
    """The frame next to a traversal, and the side: 1 after the frame, -1 before it."""
    arrived = [event for event in frames if event.direction != OUT]
    left = [event for event in frames if event.direction == OUT]
    if hook in (PREROUTING, "ingress") or (hook in (INPUT, FORWARD) and arrived):
        if hook == PREROUTING:
            same = [event for event in arrived if event.packet.ends == packet.ends and event.packet.hops == packet.hops]
            # A bridge's port precedes the bridge; both see the same address unless it was translated.
            candidates = same or arrived
            return (candidates[0] if candidates else None), 1
        # A routed packet's TTL is decremented by now, a bridged packet's is not.
        same = [event for event in arrived if event.packet.hops in (packet.hops, packet.hops + 1)]
        return (same or arrived)[-1], 1
    same = [event for event in left if event.packet.hops == packet.hops]
    if same:
        return same[0], -1
    return (arrived[-1] if arrived else None), 1


def _relevant(events: Sequence[Event], home: str) -> list[Event]:
    """Drop neighbour requests and replies outside the packet's path."""
    been = {home}
    addresses: set[str] = set()
    for event in events:
        if event.role != NEIGHBOUR:
            been.add(event.netns)
            addresses |= {address for layer in event.packet.layers for address in (layer.source, layer.target)}
    kept = []
    asked: set[str] = set()
    begun = next((sighting.time for sighting in events if sighting.role != NEIGHBOUR), 0)
    for event in events:
        if event.role == NEIGHBOUR:
            arp = event.packet.innermost.arp
            assert arp is not None
            if event.time < begun and event.netns != home:
                continue  # a neighbour request from before the trace
            near = event.netns in been and event.direction == OUT
            if arp.request and (near or arp.asked in addresses):
                asked.add(arp.asked)
            elif arp.asked not in asked:
                continue
        kept.append(event)
    return kept


__all__ = [
    "DROP",
    "ERROR",
    "FRAME",
    "NEIGHBOUR",
    "REPLY",
    "REQUEST",
    "RULES",
    "TITLES",
    "Change",
    "Event",
    "Judgement",
    "Step",
    "correlate",
]
