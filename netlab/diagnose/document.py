"""A story as one JSON document: what pictures and animations are drawn from.  Names and meanings are stable.

``events`` are in the order in which they happened; ``time_us`` counts from the first sighting of the question.  An
event's ``packet`` number is the same on every hop: 1 is the question, each retransmission and the answer are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netlab.diagnose.correlate import Event, Judgement
from netlab.diagnose.expect import Divergence
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.diagnose.text import kind
from netlab.diagnose.way import Hop, Way
from netlab.wire.packets import NAMES, Packet


def document(story: Story, told: Sequence[Finding]) -> dict[str, Any]:
    """Everything that is known, as plain data."""
    probe = story.recording.probe
    started = story.events[0].time if story.events else probe.sent
    return {
        "lab": story.recording.lab,
        "from": story.flow.src.name,
        "to": story.flow.dst.name,
        "netns": probe.netns,
        "address": probe.address,
        "port": probe.port,
        "protocol": probe.protocol,
        "size": probe.size,
        "df": probe.df,
        "outcome": probe.outcome,
        "error": probe.error or None,
        "elapsed_us": (probe.ended - probe.sent) / 1000,
        "arrived": story.arrived,
        "answered": story.answered,
        "attempts": story.attempts,
        "events": [_event(story, one, started) for one in story.events],
        "expected": {
            "question": way_json(story.journey.question),
            "answer": way_json(story.journey.answer) if story.journey.answer else None,
            "backends": [{"address": address, "port": port} for address, port in story.journey.backends],
        },
        "left": {"question": _left(story.question_left), "answer": _left(story.answer_left)},
        "findings": [one.as_json() for one in told],
        "sources": [
            {"name": one.name, "on": one.on, "lost": one.lost, "why": one.why or None}
            for one in story.recording.sources
        ],
        "counters": {netns: dict(moved) for netns, moved in story.recording.counters.items()},
    }


def way_json(way: Way) -> dict[str, Any]:
    """A way: its hops, and where it ends."""
    return {
        "hops": [hop_json(hop) for hop in way.hops],
        "arrives": way.arrives,
        "ends_in": way.netns,
        "says": way.says or None,
    }


def hop_json(hop: Hop | None) -> dict[str, Any] | None:
    """An interface of a way."""
    if hop is None:
        return None
    return {
        "netns": hop.netns,
        "interface": hop.interface,
        "direction": hop.direction,
        "encapsulated": hop.wrapped,
    }


def _left(left: Divergence | None) -> dict[str, Any] | None:
    if left is None:
        return None
    return {
        "after": hop_json(left.after),
        "expected": hop_json(left.expected),
        "went": hop_json(left.went),
        "says": str(left),
    }


def _event(story: Story, event: Event, started: int) -> dict[str, Any]:
    drop = event.drop
    return {
        "time_us": (event.time - started) / 1000,
        "kind": event.kind,
        "way": event.way,
        "packet": event.number,
        "netns": event.netns,
        "interface": event.interface or None,
        "direction": event.direction or None,
        "length": event.length or None,
        "headers": headers(event.packet),
        "notes": list(event.notes),
        "rule": _rule(story, event, event.judgement) if event.judgement else None,
        "drop": {"reason": drop.reason or None, "function": drop.function, "offset": drop.offset} if drop else None,
    }


def headers(packet: Packet) -> list[dict[str, Any]]:
    """A packet's layers, from the outside in."""
    return [_headers(layer) for layer in packet.layers]


def _headers(packet: Packet) -> dict[str, Any]:
    """One layer: a packet without what is inside of it."""
    found: dict[str, Any] = {
        "kind": "VXLAN" if packet.vni is not None else kind(packet),
        "protocol": NAMES.get(packet.protocol, str(packet.protocol) if packet.protocol else None),
        "source": packet.source or None,
        "target": packet.target or None,
        "source_port": packet.sport if packet.ports else None,
        "target_port": packet.dport if packet.ports else None,
        "ttl": packet.hops or None,
        "length": packet.length or None,
        "source_mac": packet.link.source if packet.link else None,
        "target_mac": packet.link.target if packet.link else None,
        "vni": packet.vni,
        "fragment_offset": packet.offset if packet.fragment else None,
    }
    if packet.arp is not None:
        found |= {"asked": packet.arp.asked, "mac": packet.arp.mac or None}
    if packet.about is not None:
        found["about"] = _headers(packet.about)
    return found


def _rule(story: Story, event: Event, judged: Judgement) -> dict[str, Any]:
    meaning = story.meaning(event)
    mark = meaning.mark if meaning else None
    return {
        "hook": judged.hook,
        "priority": judged.priority,
        "family": judged.family,
        "table": judged.table,
        "chain": judged.chain,
        "verdict": "reject" if meaning and meaning.rejects and judged.verdict == "drop" else judged.verdict,
        "policy": meaning.policy or None if meaning else None,
        "service": meaning.service or None if meaning else None,
        "file": mark.file if mark else None,
        "line": mark.line if mark else None,
        "steps": [
            {
                "chain": step.chain,
                "handle": step.handle or None,
                "verdict": step.verdict,
                "target": step.target or None,
                "comment": step.comment or None,
                "text": story.book.rule_text(event.netns, judged, step) or None,
            }
            for step in judged.steps
        ],
    }
