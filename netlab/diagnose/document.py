"""A story as one JSON document: the source of pictures and animations.

``events`` are in order of time; ``time_us`` counts from the first sighting of the request.  An
event's ``packet`` number is the same on every hop: 1 is the request, each retransmission and the reply have their own.
``after`` links its sightings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netlab.diagnose.causes import impaired, lookup
from netlab.diagnose.causes.answerer import as_meant
from netlab.diagnose.causes.fate import copies, death
from netlab.diagnose.compare import Comparison
from netlab.diagnose.expected.expect import Divergence
from netlab.diagnose.expected.path import Hop, Path
from netlab.diagnose.finding import Finding
from netlab.diagnose.packettext import kind
from netlab.diagnose.sightings.correlate import FRAME, RULES, Change, Event, Judgement
from netlab.diagnose.story import Story
from netlab.evidence.records import OTHERHOST, OUT
from netlab.model.topology.places import places
from netlab.oracle.flow import ADDRESS, Outcome
from netlab.oracle.report import end_kind, lookup_document
from netlab.output import flows
from netlab.output import trace as output
from netlab.output.places import place
from netlab.wire.packets import NAMES, Packet


def document(story: Story, findings: Sequence[Finding], comparison: Comparison | None = None) -> output.Trace:
    """The document of ``trace``; ``comparison``: with the prediction."""
    probe = story.recording.probe
    started = story.events[0].time if story.events else probe.sent
    copied, lost = copies(story), lookup.unresolved(story)
    named = story.concerned | {finding.netns for finding in findings} | {each.netns for each in story.events}
    return output.Trace(
        lab=story.recording.lab,
        from_=story.flow.src.name,
        from_kind=end_kind(story.flow.src),
        to=story.flow.dst.name,
        to_kind=end_kind(story.flow.dst),
        netns=probe.netns,
        address=probe.address,
        port=probe.port,
        protocol=probe.protocol,
        size=probe.size,
        df=probe.df,
        outcome=Outcome.ERROR.value if lost else Outcome(probe.outcome).value,
        error=lookup.failure(lost) if lost else probe.error or None,
        elapsed_us=(probe.ended - probe.sent) / 1000,
        arrived=story.arrived,
        answered=story.answered,
        ok=as_meant(story, findings),
        attempts=story.attempts,
        lookup=lookup_document(name) if (name := lookup.of(story)) else None,
        backend=_backend(story),
        died=_died(story, findings, copied),
        places=places(story.cluster, named | story.recording.counters.keys()),
        events=tuple(_event(story, event, started, copy=index in copied) for index, event in enumerate(story.events)),
        expected=output.Expected(
            question=leg(story.round_trip.request),
            answer=leg(story.round_trip.reply) if story.round_trip.reply else None,
            backends=tuple(output.Target(address=address, port=port) for address, port in story.round_trip.backends),
        ),
        left=output.Divergences(question=_left(story.request_left), answer=_left(story.reply_left)),
        findings=tuple(map(_finding, findings)),
        sources=tuple(
            output.Source(name=source.name, on=source.on, lost=source.lost, why=source.why or None)
            for source in story.recording.sources
        ),
        counters=story.recording.counters,
        comparison=comparison_document(comparison) if comparison else None,
        impaired=tuple(
            output.Impaired(
                packet=impaired.WORDS[role],
                netns=sender.at[0],
                interface=sender.at[1],
                impairments=sender.impairment.values.texts(),
                **place(sender.impairment.mark),
            )
            for role, sender in impaired.passed(story)
        ),
    )


def leg(path: Path) -> flows.Leg:
    """The path of a request or of a reply."""
    hops = tuple(_hop(hop) for hop in path.hops)
    return flows.Leg(hops=hops, arrives=path.arrives, ends_in=path.netns, says=path.reason or None)


def _finding(finding: Finding) -> output.Finding:
    return output.Finding(
        kind=finding.kind,
        says=finding.message,
        netns=finding.netns,
        interface=finding.interface or None,
        root=finding.root,
        reason=finding.reason or None,
        function=finding.function or None,
        rule=finding.rule or None,
        policy=finding.policy or None,
        service=finding.service or None,
        **place(finding.mark),
        look=finding.look,
        mend=finding.mend,
    )


def comparison_document(comparison: Comparison) -> output.Comparison:
    """The document of a comparison with the prediction."""
    return output.Comparison(
        predicted=comparison.predicted.outcome.value if comparison.predicted else None,
        observed=Outcome(comparison.observed).value,
        agrees=comparison.agrees,
        differences=comparison.differences,
    )


def _hop(hop: Hop) -> flows.Hop:
    return flows.Hop(netns=hop.netns, interface=hop.interface, direction=hop.direction, encapsulated=hop.encapsulated)


def _left(left: Divergence | None) -> output.Divergence | None:
    if left is None:
        return None
    after, expected, went = (_hop(hop) if hop else None for hop in (left.after, left.expected, left.went))
    return output.Divergence(after=after, expected=expected, went=went, says=str(left))


def _backend(story: Story) -> output.Backend | None:
    """The target after translation, as the packet shows it."""
    address = story.round_trip.backend
    if not address or not story.request:
        return None
    end = story.endpoints.at(address)
    ports = (event.packet.innermost.dport for event in story.request if event.packet.innermost.target == address)
    name = end.name if end.kind != ADDRESS else None
    return output.Backend(name=name, netns=end.netns or None, address=address, port=next(ports, 0))


def _died(story: Story, findings: Sequence[Finding], copied: frozenset[int]) -> output.Death | None:
    end = death(story, findings, copied)
    if end is None:
        return None
    event = story.events[end.event]
    seen = story.events[event.after] if event.kind != FRAME and event.after is not None else event
    return output.Death(
        way=event.role,
        packet=event.number,
        netns=event.netns,
        interface=end.interface or None,
        direction=_direction(story, seen),
        hook=end.hook or None,
        reason=event.drop.reason or None if event.drop else None,
        function=event.drop.function if event.drop else None,
        event=end.event,
    )


_LEAVING = ("output", "postrouting", "egress")  # hooks


def _direction(story: Story, event: Event) -> str | None:
    """In or out, as ``expected`` has it; other: a frame for another host, at an interface that is no bridge's port."""
    if event.kind == RULES and event.judgement:
        return "out" if event.judgement.hook in _LEAVING else "in"
    if event.direction == OTHERHOST and not story.topology.master(event.at):
        return "other"
    return ("out" if event.direction == OUT else "in") if event.direction else None


def _change(change: Change) -> output.Change:
    return output.Change(
        kind=change.kind,
        from_=change.source or None,
        to=change.target or None,
        by=change.by or None,
        bytes=change.size or None,
        vni=change.vni,
        undone=change.undone,
        outer=change.outer,
    )


def _event(story: Story, event: Event, started: int, *, copy: bool) -> output.Event:
    drop = event.drop
    return output.Event(
        time_us=(event.time - started) / 1000,
        kind=event.kind,
        way=event.role,
        packet=event.number,
        netns=event.netns,
        interface=event.interface or None,
        direction=_direction(story, event),
        length=event.length or None,
        headers=headers(event.packet),
        notes=event.notes,
        did=tuple(map(_change, event.changes)),
        after=event.after,
        copy=copy,
        rule=_rule(story, event, event.judgement) if event.judgement else None,
        drop=output.Drop(reason=drop.reason or None, function=drop.function, offset=drop.offset) if drop else None,
    )


def headers(packet: Packet) -> tuple[output.Header, ...]:
    """A packet's layers, outermost first."""
    return tuple(map(_header, packet.layers))


def _header(packet: Packet) -> output.Header:
    """One layer of a packet, without its inner packet."""
    arp: dict[str, Any] = {"asked": packet.arp.asked, "mac": packet.arp.mac or None} if packet.arp else {}
    return output.Header(
        kind=packet.tunnel or kind(packet),
        protocol=NAMES.get(packet.protocol, str(packet.protocol) if packet.protocol else None),
        source=packet.source or None,
        target=packet.target or None,
        source_port=packet.sport if packet.ports else None,
        target_port=packet.dport if packet.ports else None,
        ttl=packet.hops or None,
        length=packet.length or None,
        source_mac=packet.link.source if packet.link else None,
        target_mac=packet.link.target if packet.link else None,
        vni=packet.vni,
        fragment_offset=packet.offset if packet.fragment else None,
        **arp,
        about=_header(packet.about) if packet.about is not None else None,
    )


def _rule(story: Story, event: Event, judged: Judgement) -> output.Rules:
    meaning = story.meaning(event)
    return output.Rules(
        hook=judged.hook,
        priority=judged.priority,
        family=judged.family,
        table=judged.table,
        chain=judged.chain,
        verdict="reject" if meaning and meaning.rejects and judged.verdict == "drop" else judged.verdict,
        policy=meaning.policy or None if meaning else None,
        service=meaning.service or None if meaning else None,
        **place(meaning.mark if meaning else None),
        steps=tuple(
            output.RuleStep(
                chain=step.chain,
                handle=step.handle or None,
                verdict=step.verdict,
                target=step.target or None,
                comment=step.comment or None,
                text=story.book.rule_text(event.netns, judged, step) or None,
            )
            for step in judged.steps
        ),
    )
