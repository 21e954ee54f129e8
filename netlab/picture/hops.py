"""The hops of a traced packet: its sightings in order, what changed at each, and the rules that it met before it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from netlab.output.trace import Event, Header, Rules, Trace
from netlab.tuples import NamedTuple

QUESTION, ANSWER = "question", "answer"

_COMPARED = ("source", "target", "source_port", "target_port", "ttl", "vni")


class Hop(NamedTuple):
    """A sighting.  ``changed`` are the fields (index of the header, name) that the hop before had otherwise."""

    number: int
    netns: str
    interface: str
    direction: str
    headers: tuple[Header, ...]
    changed: frozenset[tuple[int, str]]
    is_same: bool
    notes: tuple[str, ...]
    rules: tuple[Rules, ...]


def hops(trace: Trace, way: str) -> list[Hop]:
    """The hops of the first packet that went this way; copies that a bridge flooded are left out."""
    events = [event for event in trace.events if event.way == way and not event.copy]
    made: list[Hop] = []
    rules: list[Rules] = []
    for event in (event for event in events if event.packet == events[0].packet):
        if event.rule:
            rules.append(event.rule)
        elif event.kind == "frame" and event.interface:
            made.append(_hop(event, event.interface, made, tuple(rules)))
            rules.clear()
    return made


def _hop(event: Event, interface: str, before: list[Hop], rules: tuple[Rules, ...]) -> Hop:
    old = before[-1].headers if before else ()
    changed = frozenset(_changed(old, event.headers)) if before else frozenset()
    is_same = bool(before) and not changed and len(old) == len(event.headers)
    direction = {"out": "out", None: ""}.get(event.direction, "in")
    return Hop(len(before) + 1, event.netns, interface, direction, event.headers, changed, is_same, event.notes, rules)


def _changed(old: tuple[Header, ...], new: tuple[Header, ...]) -> Iterable[tuple[int, str]]:
    """Compared from the inside out, as the inner packet is the last header on both sides."""
    for index, (before, after) in enumerate(zip_longest(reversed(old), reversed(new))):
        if after is not None:
            for field in _COMPARED:
                if before is None or getattr(before, field) != getattr(after, field):
                    yield len(new) - 1 - index, field
