"""A story as lines for a reader: the packet's way hop by hop, then what became of it and why."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from netlab.diagnose.correlate import ANSWER, DROP, FRAME, NEIGHBOUR, QUESTION, RULES, TITLES, Event
from netlab.diagnose.finding import Finding
from netlab.diagnose.rulewords import place
from netlab.diagnose.story import Story
from netlab.diagnose.text import about, kind, outer, shown
from netlab.diagnose.way import Way
from netlab.diagnose.words import who
from netlab.evidence.records import OUT, Probe

WIDTH = 100
_WHERE_MAX, _INTERFACE_MAX = 18, 15

Typed = Callable[[str], str]
Decode = Callable[[bytes], Iterable[str]]


def _as_is(text: str) -> str:
    return text


def lines(
    story: Story,
    told: Sequence[Finding],
    *,
    width: int = WIDTH,
    typed: Typed = _as_is,
    decode: Decode | None = None,
) -> Iterator[str]:
    """The whole report; ``typed`` makes a netlab command what the reader must type.

    ``decode``: the layers of a frame as lines, which are printed wherever the packet has changed.
    """
    yield from hops(story, width=width, decode=decode)
    yield ""
    yield from verdict(story, told, width=width, typed=typed)


# -- the way ----------------------------------------------------------------------------------------------------------


def hops(story: Story, *, width: int = WIDTH, decode: Decode | None = None) -> Iterator[str]:
    """A row a sighting; between rows, what happened."""
    events = list(_worth_showing(story))
    yield from _Table(story, events, width, decode).lines()


class _Table:
    def __init__(self, story: Story, events: Sequence[Event], width: int, decode: Decode | None) -> None:
        self._story, self._events, self._decode = story, events, decode
        self._flooded: set[tuple[int, str, str]] = set()
        self._expected = {QUESTION: _places(story.journey.question), ANSWER: _places(story.journey.answer)}
        rows = [one for one in events if not self._copy(one)]
        self._prefix = f"{story.recording.lab}-"
        names = [self._where(one.netns) for one in rows] or [""]
        self._names = min(_WHERE_MAX, max(len("where"), *map(len, names)))
        self._links = max(len("interface"), *(len(one.interface) for one in rows if one.kind != RULES), 0)
        self._indent = 10 + 2 + self._names + 2 + self._links + 2 + 3 + 2
        self._width = max(width, self._indent + 40)

    def lines(self) -> Iterator[str]:
        if not self._events:
            return
        started = self._events[0].time
        yield self._row("us", "where", "interface", "", "packet")
        way, last = "", ""
        for event in self._events:
            if event.kind == FRAME and event.way != way and event.way in TITLES:
                way, last = event.way, ""
                yield f"{TITLES[way]}:"
            time = f"{(event.time - started) / 1000:.1f}"
            where = self._where(event.netns)
            if event.kind == RULES:
                yield from self._judged(event, where)
                continue
            if event.kind == DROP:
                yield from self._wrapped(self._row(time, where, event.interface, "XXX", _dropped(event)))
                continue
            if event.way == NEIGHBOUR:
                yield from self._wrapped(self._row(time, where, event.interface, "out", self._asked(event)))
                continue
            if self._copy(event):
                yield from self._copied(event)
                continue
            for note in event.notes:
                yield from self._note(self._short(note))
            text = self._packet(event)
            yield from self._wrapped(
                self._row(
                    time,
                    where,
                    event.interface,
                    "out" if event.direction == OUT else "in",
                    '"' if text == last else text,
                )
            )
            if self._decode is not None and text != last:
                yield from (f"{'':12}{line}" for line in self._decode(event.data))
            last = text

    def _where(self, netns: str) -> str:
        short = netns.removeprefix(self._prefix)
        return short if len(short) <= _WHERE_MAX else f"{short[: _WHERE_MAX - 1]}…"

    def _row(self, time: str, where: str, interface: str, direction: str, text: str) -> str:
        return f"{time:>10}  {where:{self._names}}  {interface:{self._links}}  {direction:3}  {text}".rstrip()

    def _wrapped(self, row: str) -> Iterator[str]:
        if len(row) <= self._width:
            yield row
            return
        head, text = row[: self._indent], row[self._indent :]
        # A tunnel's packet goes on in a line of its own; IPv6 addresses with ports have brackets, too.
        outside, bracket, inside = text.partition(" [") if text.startswith("VXLAN") else (text, "", "")
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
        """Whether a bridge flooded it besides, where the packet itself kept its way."""
        lefts = {QUESTION: self._story.question_left, ANSWER: self._story.answer_left}
        if event.kind != FRAME or event.way not in lefts:
            return False
        left = lefts[event.way]
        if left is not None and left.went is not None:
            return False
        return (event.netns, event.interface, event.direction == OUT) not in self._expected[event.way]

    def _copied(self, event: Event) -> Iterator[str]:
        """One note for all the copies of a bridge."""
        known = self._story.known
        bridge = known.master((event.netns, event.interface))
        if event.direction != OUT or not bridge or (event.number, event.netns, bridge) in self._flooded:
            return
        self._flooded.add((event.number, event.netns, bridge))
        ports = {
            one.interface for one in self._events
            if one.number == event.number and one.netns == event.netns and one.direction == OUT and self._copy(one)
        }  # fmt: skip
        copies = "a copy" if len(ports) == 1 else f"{len(ports)} copies"
        yield from self._note(f"{bridge} does not know the port of this MAC yet: it floods {copies} to other ports")

    def _short(self, note: str) -> str:
        """Notes name namespaces as the table does."""
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
        answers = [
            one
            for one in self._story.events
            if one.way == NEIGHBOUR and one.netns == event.netns and one.direction != OUT and one.time >= event.time
            and (said := one.packet.innermost.arp) is not None and not said.request and said.asked == arp.asked
        ]  # fmt: skip
        word = f"{kind(event.packet.innermost)} who has {arp.asked}?"
        if not answers:
            times = self._story.asked.get((event.netns, event.interface, arp.asked), 1)
            return f"{word} no reply" + (f" (asked {times} times)" if times > 1 else "")
        said = answers[0].packet.innermost.arp
        mac = said.mac if said else ""
        return f"{word} {mac} replies {(answers[0].time - event.time) / 1000:.1f} us later"


def _dropped(event: Event) -> str:
    drop = event.drop
    assert drop is not None
    return f"DROPPED: {drop.reason or 'no reason given'} in {drop.function}"


def _places(way: Way | None) -> set[tuple[str, str, bool]]:
    """Where a way leads, and whether out of there; with what may be seen besides."""
    if way is None:
        return set()
    return {(hop.netns, hop.interface, hop.direction == OUT) for hop in (*way.hops, *way.besides)}


def _worth_showing(story: Story) -> Iterator[Event]:
    """The first question, its answer, the errors, and who asked for a neighbour; not what was sent again."""
    numbers = {one.number for one in (*story.question[:1], *story.answer[:1], *story.errors)}
    first: dict[tuple[str, str, str], bool] = {}
    ends = max((one.time for one in story.events if one.way != NEIGHBOUR), default=0)
    spent = {id(one) for one in story.events if one.kind == DROP} - {id(one) for one in story.drops}
    for event in story.events:
        if event.way == NEIGHBOUR:
            arp = event.packet.innermost.arp
            if event.kind != FRAME or arp is None or not arp.request:
                continue
            key = event.netns, event.interface, arp.asked
            late = event.time > ends and key not in story.unanswered
            if event.direction == OUT and key in story.asked and not first.get(key) and not late:
                first[key] = True
                yield event
        elif (event.number in numbers or (event.kind == DROP and event.way != NEIGHBOUR)) and id(event) not in spent:
            yield event


# -- what became of it ------------------------------------------------------------------------------------------------


def headline(story: Story) -> str:
    """One line: who asked whom, and what came of it."""
    probe = story.recording.probe
    took = (probe.ended - probe.sent) / 1e6
    asked = f"{story.flow.src.name} -> {_target(story)}"
    error = f" ({probe.error})" if probe.error else ""
    if probe.outcome == "open":
        back = story.answer[-1].time - story.question[0].time if story.answer and story.question else 0
        after = f" after {back / 1e6:.2f} ms" if back else ""
        data = (
            f"; {probe.size} bytes on the connection were acknowledged"
            if probe.protocol == "TCP" and probe.size
            else ""
        )
        return f"{asked}: answered{after}{data}"
    if story.segment is not None:
        size = story.segment.packet.innermost.size
        what = f"{probe.size} bytes on it were not all acknowledged in {took:.0f} ms{error}"
        return f"{asked}: the connection was made, but {what}; the first segment of {size} bytes is shown"
    if probe.outcome == "timeout":
        came = "the request arrived, the reply did not come back" if story.answer else (
            "the request arrived" if story.arrived else "the request did not arrive"
        )  # fmt: skip
        return f"{asked}: no reply in {took:.0f} ms; {came}"
    return f"{asked}: {probe.outcome}{error} after {took:.1f} ms"


def _target(story: Story) -> str:
    probe = story.recording.probe
    address = f"[{probe.address}]" if ":" in probe.address else probe.address
    at = f"{address}:{probe.port}/{probe.protocol}" if probe.port else f"{probe.address} ({probe.protocol})"
    name = story.flow.dst.name
    known = who(story, probe.address)
    return at if name == probe.address and known.startswith("nobody") else f"{known} {at}"


def _learned(probe: Probe) -> str:
    """What the sender's kernel knew of the path, which decides whether a packet that may not be cut leaves at all."""
    if not probe.learned:
        return f"{probe.netns} has learned no smaller path MTU"
    return f"{probe.netns} has learned the path MTU {probe.learned}, and forgets it in {probe.expires} s"


def verdict(story: Story, told: Sequence[Finding], *, width: int = WIDTH, typed: Typed = _as_is) -> Iterator[str]:
    """The headline, the findings with what to look at, and which sources there were."""
    yield from textwrap.wrap(headline(story), width, break_long_words=False, break_on_hyphens=False)
    for finding in told:
        yield from _finding(finding, width, typed)
    if not told and story.recording.probe.outcome == "open":
        yield "request and reply took the expected path"
        if story.recording.probe.df:
            yield _learned(story.recording.probe)
    elif not told:
        yield "the evidence does not show why"
    if story.attempts > 1:
        yield f"it was sent {story.attempts} times; the first is shown"
    yield from sources(story, width)


def _finding(finding: Finding, width: int, typed: Typed) -> Iterator[str]:
    kernel = f" [{finding.reason or 'no reason'} in {finding.function}]" if finding.function else ""
    text = " ".join(part for part in (finding.says, place(finding.mark)) if part) + kernel
    for number, part in enumerate(textwrap.wrap(text, width - 4, break_long_words=False, break_on_hyphens=False)):
        yield ("  - " if number == 0 else "    ") + part
    for command in finding.look:
        yield f"      {typed(command) if command.startswith('netlab ') else command}"


def sources(story: Story, width: int = WIDTH) -> Iterator[str]:
    """Which sources were off, and what did not fit the buffers of those that were on."""
    for one in story.recording.sources:
        if not one.on:
            yield from textwrap.wrap(f"source not used: {one.name}" + (f" ({one.why})" if one.why else ""), width)
        elif one.why:
            yield from textwrap.wrap(f"source incomplete: {one.name} ({one.why})", width)
        if one.on and one.lost:
            yield f"{one.name}: {one.lost} records did not fit the buffer, so parts may be missing"


def way_lines(netnses: Iterable[str], lab: str) -> str:
    """Namespaces in a row, as the table calls them."""
    return " > ".join(dict.fromkeys(one.removeprefix(f"{lab}-") for one in netnses))
