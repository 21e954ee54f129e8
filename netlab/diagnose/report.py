"""A story as lines for a reader: the packet's path hop by hop, then the result and its cause."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from netlab.diagnose.causes import impaired, lookup
from netlab.diagnose.causes.answerer import as_meant
from netlab.diagnose.expected.path import Path
from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import address_owner
from netlab.diagnose.packettext import about, kind, outer, shown
from netlab.diagnose.rules.rulebook import location
from netlab.diagnose.sightings.correlate import DROP, FRAME, NEIGHBOUR, REPLY, REQUEST, RULES, TITLES, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT, Probe
from netlab.planes import Encapsulation

WIDTH = 100
_WHERE_MAX, _INTERFACE_MAX = 18, 15

Typed = Callable[[str], str]
_TUNNELS = tuple(kind.value for kind in Encapsulation if kind.value)
Decode = Callable[[bytes, bool], Iterable[str]]


def _as_is(text: str) -> str:
    return text


def lines(
    story: Story,
    findings: Sequence[Finding],
    *,
    width: int = WIDTH,
    typed: Typed = _as_is,
    decode: Decode | None = None,
) -> Iterator[str]:
    """The whole report; ``typed`` adapts a netlab command to the reader's.

    ``decode``: the layers of a frame as lines, printed whenever the packet has changed.
    """
    yield from lookup.lines(story, width)
    if not (lookup.unresolved(story) and story.answered):  # then the query has nothing to tell
        yield from hops(story, width=width, decode=decode)
        yield ""
    yield from verdict(story, findings, width=width, typed=typed)


# -- the way ----------------------------------------------------------------------------------------------------------


def hops(story: Story, *, width: int = WIDTH, decode: Decode | None = None) -> Iterator[str]:
    """A row for each sighting; the changes stand between rows."""
    events = list(_worth_showing(story))
    yield from _Table(story, events, width, decode).lines()


class _Table:
    def __init__(self, story: Story, events: Sequence[Event], width: int, decode: Decode | None) -> None:
        self._story, self._events, self._decode = story, events, decode
        self._flooded: set[tuple[int, str, str]] = set()
        self._expected = {REQUEST: _places(story.round_trip.request), REPLY: _places(story.round_trip.reply)}
        rows = [event for event in events if not self._copy(event)]
        self._prefix = f"{story.recording.lab}-"
        names = [self._where(event.netns) for event in rows] or [""]
        self._names = min(_WHERE_MAX, max(len("where"), *map(len, names)))
        self._links = max(len("interface"), *(len(event.interface) for event in rows if event.kind != RULES), 0)
        self._indent = 10 + 2 + self._names + 2 + self._links + 2 + 3 + 2
        self._width = max(width, self._indent + 40)

    def lines(self) -> Iterator[str]:
        if not self._events:
            return
        started = self._events[0].time
        yield self._row("us", "where", "interface", "", "packet")
        role, last = "", ""
        for event in self._events:
            if event.kind == FRAME and event.role != role and event.role in TITLES:
                role, last = event.role, ""
                yield f"{TITLES[role]}:"
            time = f"{(event.time - started) / 1000:.1f}"
            where = self._where(event.netns)
            if event.kind == RULES:
                yield from self._judged(event, where)
                continue
            if event.kind == DROP:
                yield from self._folded(self._row(time, where, event.interface, "XXX", _dropped(event)))
                continue
            if event.role == NEIGHBOUR:
                yield from self._folded(self._row(time, where, event.interface, "out", self._asked(event)))
                continue
            if self._copy(event):
                yield from self._copied(event)
                continue
            for note in event.notes:
                yield from self._note(self._short(note))
            text = self._packet(event)
            yield from self._folded(
                self._row(
                    time,
                    where,
                    event.interface,
                    "out" if event.direction == OUT else "in",
                    '"' if text == last else text,
                )
            )
            if self._decode is not None and text != last:
                yield from (f"{'':12}{line}" for line in self._decode(event.data, not event.bare))
            last = text

    def _where(self, netns: str) -> str:
        short = netns.removeprefix(self._prefix)
        return short if len(short) <= _WHERE_MAX else f"{short[: _WHERE_MAX - 1]}…"

    def _row(self, time: str, where: str, interface: str, direction: str, text: str) -> str:
        return f"{time:>10}  {where:{self._names}}  {interface:{self._links}}  {direction:3}  {text}".rstrip()

    def _folded(self, row: str) -> Iterator[str]:
        if len(row) <= self._width:
            yield row
            return
        head, text = row[: self._indent], row[self._indent :]
        # A tunnel's inner packet starts a new line; IPv6 addresses with ports also have brackets.
        outside, bracket, inside = text.partition(" [") if text.startswith(_TUNNELS) else (text, "", "")
        parts = [
            line
            for piece in ((outside, f"[{inside}") if bracket else (text,))
            for line in textwrap.wrap(
                piece, self._width - self._indent - 2, break_long_words=False, break_on_hyphens=False
            )
        ]
        yield head + parts[0]
        for part in parts[1:]:
            yield " " * (self._indent + 2) + part

    def _note(self, text: str) -> Iterator[str]:
        at = 12 + self._names + 2
        for number, part in enumerate(textwrap.wrap(text, self._width - at - 2, break_long_words=False)):
            yield " " * at + ("· " if number == 0 else "  ") + part

    def _judged(self, event: Event, where: str) -> Iterator[str]:
        judged = event.judgement
        assert judged is not None
        at = 12 + self._names + 2
        text = f"nft {judged.hook}: {'; '.join(event.notes)}"
        parts = textwrap.wrap(
            text, self._width - at, subsequent_indent=" " * 4, break_long_words=False, break_on_hyphens=False
        )
        yield f"{'':10}  {where:{self._names}}  {parts[0]}"
        yield from (" " * at + part for part in parts[1:])

    def _copy(self, event: Event) -> bool:
        """Whether this is a bridge's flooded copy, while the packet itself kept its path."""
        lefts = {REQUEST: self._story.request_left, REPLY: self._story.reply_left}
        if event.kind != FRAME or event.role not in lefts:
            return False
        left = lefts[event.role]
        if left is not None and left.went is not None:
            return False
        return (event.netns, event.interface, event.direction == OUT) not in self._expected[event.role]

    def _copied(self, event: Event) -> Iterator[str]:
        """One note for all the copies of a bridge."""
        topology = self._story.topology
        bridge = topology.master(event.at)
        if event.direction != OUT or not bridge or (event.number, event.netns, bridge) in self._flooded:
            return
        self._flooded.add((event.number, event.netns, bridge))
        ports = {
            sighting.interface for sighting in self._events
            if sighting.number == event.number and sighting.netns == event.netns and sighting.direction == OUT and self._copy(sighting)
        }  # fmt: skip
        copies = "a copy" if len(ports) == 1 else f"{len(ports)} copies"
        yield from self._note(f"{bridge} does not know the port of this MAC yet: it floods {copies} to other ports")

    def _short(self, note: str) -> str:
        """Shorten namespaces in a note as in the table."""
        for netns in self._story.concerned:
            note = note.replace(netns, netns.removeprefix(self._prefix))
        return note

    def _packet(self, event: Event) -> str:
        packet = event.packet
        if packet.inner is None:
            return f"{shown(packet)} {about(packet)}".rstrip()
        return f"{outer(packet)} [{shown(packet.innermost)}]"

    def _asked(self, event: Event) -> str:
        arp = event.packet.innermost.arp
        assert arp is not None
        replies = [
            sighting
            for sighting in self._story.events
            if sighting.role == NEIGHBOUR and sighting.netns == event.netns and sighting.direction != OUT and sighting.time >= event.time
            and (reply := sighting.packet.innermost.arp) is not None and not reply.request and reply.asked == arp.asked
        ]  # fmt: skip
        word = f"{kind(event.packet.innermost)} who has {arp.asked}?"
        if not replies:
            times = self._story.neighbour_requests.get((event.netns, event.interface, arp.asked), 1)
            return f"{word} no reply" + (f" (asked {times} times)" if times > 1 else "")
        reply = replies[0].packet.innermost.arp
        mac = reply.mac if reply else ""
        return f"{word} {mac} replies {(replies[0].time - event.time) / 1000:.1f} us later"


def _dropped(event: Event) -> str:
    drop = event.drop
    assert drop is not None
    return f"DROPPED: {drop.reason or 'no reason given'} in {drop.function}"


def _places(path: Path | None) -> set[tuple[str, str, bool]]:
    """The interfaces of a path with the direction (out: True), optional hops included."""
    if path is None:
        return set()
    return {(hop.netns, hop.interface, hop.direction == OUT) for hop in (*path.hops, *path.besides)}


def _worth_showing(story: Story) -> Iterator[Event]:
    """The first request, its reply, ICMP errors and neighbour requests, without retransmissions."""
    numbers = {sighting.number for sighting in (*story.request[:1], *story.reply[:1], *story.errors)}
    first: dict[tuple[str, str, str], bool] = {}
    ends = max((sighting.time for sighting in story.events if sighting.role != NEIGHBOUR), default=0)
    spent = {id(sighting) for sighting in story.events if sighting.kind == DROP} - {
        id(sighting) for sighting in story.drops
    }
    for event in story.events:
        if event.role == NEIGHBOUR:
            arp = event.packet.innermost.arp
            if event.kind != FRAME or arp is None or not arp.request:
                continue
            key = event.netns, event.interface, arp.asked
            late = event.time > ends and key not in story.unresolved
            if event.direction == OUT and key in story.neighbour_requests and not first.get(key) and not late:
                first[key] = True
                yield event
        elif (event.number in numbers or (event.kind == DROP and event.role != NEIGHBOUR)) and id(event) not in spent:
            yield event


# -- what became of it ------------------------------------------------------------------------------------------------


def headline(story: Story) -> str:
    """One line: source, target and result."""
    if unresolved := lookup.unresolved(story):
        return lookup.headline(story, unresolved)
    probe = story.recording.probe
    took = (probe.ended - probe.sent) / 1e6
    asked = f"{story.flow.src.name} -> {_target(story)}"
    error = f" ({probe.error})" if probe.error else ""
    if probe.outcome == "open":
        back = story.reply[-1].time - story.request[0].time if story.reply and story.request else 0
        after = f" after {back / 1e6:.2f} ms" if back else ""
        data = (
            f"; {probe.size} bytes on the connection were acknowledged"
            if probe.protocol == "TCP" and probe.size
            else ""
        )
        return f"{asked}: answered{after}{data}"
    if story.segment is not None:
        size = story.segment.packet.innermost.size
        text = f"{probe.size} bytes on it were not all acknowledged in {took:.0f} ms{error}"
        return f"{asked}: the connection was made, but {text}; the first segment of {size} bytes is shown"
    if probe.outcome == "timeout":
        came = "the request arrived, the reply did not come back" if story.reply else (
            "the request arrived" if story.arrived else "the request did not arrive"
        )  # fmt: skip
        return f"{asked}: no reply in {took:.0f} ms; {came}"
    return f"{asked}: {probe.outcome}{error} after {took:.1f} ms"


def _target(story: Story) -> str:
    probe = story.recording.probe
    address = f"[{probe.address}]" if ":" in probe.address else probe.address
    at = f"{address}:{probe.port}/{probe.protocol}" if probe.port else f"{probe.address} ({probe.protocol})"
    name = story.flow.dst.name
    owner = address_owner(story, probe.address)
    return at if name == probe.address and owner.startswith("nobody") else f"{owner} {at}"


def _as_expected(story: Story) -> str:
    """The last line of a trace without findings: only what the evidence shows."""
    if not story.frames.on:
        return "without the source frames, the path and the host that replied are not known"
    if story.request_left is not None or story.reply_left is not None or not story.reply:
        return "the frames are not complete, so the path is known only in part"
    return "request and reply took the expected path"


def _learned(probe: Probe) -> str:
    """The sender's cached path MTU, which decides whether a packet with DF leaves at all."""
    if not probe.learned:
        return f"{probe.netns} has learned no smaller path MTU"
    return f"{probe.netns} has learned the path MTU {probe.learned}, and forgets it in {probe.expires} s"


def verdict(story: Story, findings: Sequence[Finding], *, width: int = WIDTH, typed: Typed = _as_is) -> Iterator[str]:
    """The headline, the findings with their commands, and the unused sources."""
    yield from textwrap.wrap(headline(story), width, break_long_words=False, break_on_hyphens=False)
    for finding in findings:
        yield from _finding(finding, width, typed)
    if findings and as_meant(story, findings):
        yield "the expected host replied nevertheless"
    for line in impaired.lines(story, findings):
        yield from textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
    if not findings and story.recording.probe.outcome == "open":
        yield _as_expected(story)
        if story.recording.probe.df:
            yield _learned(story.recording.probe)
    elif not findings:
        yield "the evidence does not show why"
    if story.attempts > 1:
        number = story.tries.index(story.request[0].number) + 1 if story.request[0].number in story.tries else 1
        which = "the first" if number == 1 else f"number {number}, which was answered,"
        yield f"it was sent {story.attempts} times; {which} is shown"
    yield from sources(story, width)


def _finding(finding: Finding, width: int, typed: Typed) -> Iterator[str]:
    kernel = f" [{finding.reason or 'no reason'} in {finding.function}]" if finding.function else ""
    text = " ".join(part for part in (finding.message, location(finding.mark)) if part) + kernel
    for number, part in enumerate(textwrap.wrap(text, width - 4, break_long_words=False, break_on_hyphens=False)):
        yield ("  - " if number == 0 else "    ") + part
    for command in (*finding.look, *finding.mend):
        yield f"      {typed(command) if command.startswith('netlab ') else command}"


def sources(story: Story, width: int = WIDTH) -> Iterator[str]:
    """The sources that were off, incomplete, or overflowed."""
    for source in story.recording.sources:
        if not source.on:
            yield from textwrap.wrap(
                f"source not used: {source.name}" + (f" ({source.why})" if source.why else ""), width
            )
        elif source.why:
            yield from textwrap.wrap(f"source incomplete: {source.name} ({source.why})", width)
        if source.on and source.lost:
            yield f"{source.name}: {source.lost} records did not fit the buffer, so parts may be missing"
