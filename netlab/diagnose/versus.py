"""The same flow in two labs: what both packets did, step by step, and where their ways part.

A step is a sighting of the packet or its reply at an interface, or its end (a rule or the kernel dropped it).  Steps are
the same where place, interface, direction and encapsulation are; the names of the two labs and of the veths of Pods,
which each data plane chooses in its own way, do not count, and neither do addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.diagnose.causes.fate import copies
from netlab.diagnose.document import document
from netlab.diagnose.finding import Finding
from netlab.diagnose.packettext import outer, shown
from netlab.diagnose.sightings.correlate import DROP, FRAME, REPLY, REQUEST, RULES, TITLES, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT
from netlab.objects import Veth
from netlab.output import trace as output
from netlab.tuples import NamedTuple
from netlab.wire.packets import Packet

_ENDS = ("drop", "reject")  # verdicts


class Way(NamedTuple):
    """A traced packet and what was found of it."""

    story: Story
    findings: Sequence[Finding]


def versus(one: Way, other: Way) -> output.Versus:
    """The document of both."""
    both = list(_steps(one.story)), list(_steps(other.story))
    rows: list[output.VersusRow] = []
    for way in (REQUEST, REPLY):
        rows += _aligned(*([step for step in steps if step.way == way] for steps in both))
    return output.Versus(
        lab=one.story.recording.lab,
        versus=other.story.recording.lab,
        dataplanes=(one.story.cluster.dataplane, other.story.cluster.dataplane),
        same_outcome=one.story.recording.probe.outcome == other.story.recording.probe.outcome,
        parted=_parted(rows, (one.story.recording.lab, other.story.recording.lab)),
        rows=tuple(rows),
        ours=document(one.story, one.findings),
        theirs=document(other.story, other.findings),
    )


def _aligned(ours: Sequence[output.VersusStep], theirs: Sequence[output.VersusStep]) -> Iterator[output.VersusRow]:
    """The steps of one way beside each other, as many as can be in both."""
    common = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]  # how many, of the steps from here on
    for here in reversed(range(len(ours))):
        for there in reversed(range(len(theirs))):
            same = _key(ours[here]) == _key(theirs[there])
            without = max(common[here + 1][there], common[here][there + 1])
            common[here][there] = common[here + 1][there + 1] + 1 if same else without
    here = there = 0
    while here < len(ours) or there < len(theirs):
        if here < len(ours) and there < len(theirs) and _key(ours[here]) == _key(theirs[there]):
            yield output.VersusRow(ours=ours[here], theirs=theirs[there])
            here, there = here + 1, there + 1
        elif here < len(ours) and common[here + 1][there] == common[here][there]:
            yield output.VersusRow(ours=ours[here], theirs=None)
            here += 1
        else:
            yield output.VersusRow(ours=None, theirs=theirs[there])
            there += 1


def lines(told: output.Versus) -> Iterator[str]:
    """The rows as text: ``<`` and ``>`` before what one lab alone has."""
    steps = [(step.place, step.interface) for row in told.rows for step in (row.ours, row.theirs) if step]
    width, links = (max((len(step[part]) for step in steps), default=0) for part in (0, 1))
    for mark, lab, plane in zip("<>", (told.lab, told.versus), told.dataplanes, strict=True):
        yield f"{mark} {lab} ({plane})"
    way = ""
    for row in told.rows:
        step = row.ours or row.theirs
        assert step is not None
        if step.way != way:
            way = step.way
            yield f"{TITLES[way]}:"
        mark = "<" if row.theirs is None else ">" if row.ours is None else " "
        yield f"{mark} {step.place:{width}}  {step.interface:{links}}  {step.direction:3}  {step.packet}".rstrip()
    yield ""
    yield told.parted.says if told.parted else "both packets took the same steps"
    for lab, trace in ((told.lab, told.ours), (told.versus, told.theirs)):
        reason = trace.findings[0].says if trace.findings and trace.outcome != "open" else ""
        yield f"{lab}: {trace.outcome}" + (f": {reason}" if reason else "")


def _key(step: output.VersusStep) -> tuple[str, ...]:
    return step.way, step.place, step.interface, step.direction, step.encapsulation


def _steps(story: Story) -> Iterator[output.VersusStep]:
    links = {
        end: f"the link of {_place(story, veth.peer.netns)}"
        for veth in story.want.values()
        if isinstance(veth, Veth)
        and veth.peer.name == "eth0"
        and any(p.netns == veth.peer.netns for p in story.cluster.pods)
        for end in ((veth.end.netns, veth.end.name),)
    }
    copied = copies(story)
    first: dict[str, int] = {}  # the number of the first packet of each way: not its retransmissions
    ended = set()
    for index, event in enumerate(story.events):
        if event.role not in (REQUEST, REPLY) or index in copied:
            continue
        end = _end(event)
        if event.number != first.setdefault(event.role, event.number) or (event.kind != FRAME and not end):
            continue
        if end and event.role in ended:  # the kernel's word for what a rule did
            continue
        ended |= {event.role} if end else set()
        tunnel = ", ".join(layer.tunnel for layer in event.packet.layers if layer.tunnel)
        yield output.VersusStep(
            way=event.role,
            place=_place(story, event.netns),
            interface=links.get(event.at, event.interface),
            direction="XXX" if end else "out" if event.direction == OUT else "in",
            encapsulation=tunnel,
            packet=end or _text(event.packet),
            event=index,
        )


def _text(packet: Packet) -> str:
    return shown(packet) if packet.inner is None else f"{outer(packet)} [{shown(packet.innermost)}]"


def _end(event: Event) -> str:
    """How an event ends the packet; "" where it goes on."""
    judged = event.judgement
    if event.kind == RULES and judged is not None and judged.verdict in _ENDS:
        return f"{judged.verdict} by nft table {judged.family} {judged.table}, chain {judged.chain}"
    if event.kind == DROP and event.drop is not None:
        return f"dropped by {event.drop.function}" + (f": {event.drop.reason}" if event.drop.reason else "")
    return ""


def _place(story: Story, netns: str) -> str:
    return netns.removeprefix(f"{story.recording.lab}-")


def _parted(rows: Sequence[output.VersusRow], labs: tuple[str, str]) -> output.Parted | None:
    """The first place where only one of the packets was."""
    first = next((number for number, row in enumerate(rows) if row.ours is None or row.theirs is None), None)
    if first is None:
        return None
    after = rows[first - 1].ours if first else None
    ways = [rows[first].ours, rows[first].theirs]
    way = next(step.way for step in ways if step)
    rest = [row for row in rows[first:] if (row.ours or row.theirs).way == way]  # type: ignore[union-attr]
    ours = next((row.ours for row in rest if row.ours is not None), None)
    theirs = next((row.theirs for row in rest if row.theirs is not None), None)
    where = f"after {_said(after)}" if after else "at once"
    goes = [f"in {lab} {_said(step) if step else 'it ends'}" for lab, step in zip(labs, (ours, theirs), strict=True)]
    says = f"the two {'requests' if way == REQUEST else 'replies'} part {where}: {'; '.join(goes)}"
    return output.Parted(after=after, ours=ours, theirs=theirs, says=says)


def _said(step: output.VersusStep) -> str:
    if step.direction == "XXX":
        return f"{step.place} ({step.packet})"
    tunnel = f" in {step.encapsulation}" if step.encapsulation else ""
    return f"{step.place} {step.interface} {step.direction}{tunnel}"
