"""Flows in groups of sources, so that pins come and go a few thousand at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from netlab.observe.neighbours import Neighbours, Pin
from netlab.oracle.flow import Flow

#: One group's pins at most, where its first source does not need more: 5 us each over rtnetlink, so 0.1 s.
PINS_MAX = 20_000
FLOWS_MAX = 50_000


class Group:
    """Flows that share pins; ``left`` counts those without a verdict."""

    __slots__ = ("left", "pins")

    def __init__(self, pins: list[Pin], left: int) -> None:
        self.pins, self.left = pins, left


def feed(flows: Iterable[Flow], neighbours: Neighbours | None) -> Iterator[tuple[Flow, Group | None]]:
    """The flows, each with its group, whose pins are in the kernel when its first flow is given out."""
    if neighbours is None or not neighbours.wanted:
        for flow in flows:
            yield flow, None
        return
    pins: dict[Pin, None] = {}
    waiting: list[Flow] = []
    for source, same in groupby(flows, key=itemgetter(0)):
        of_source = list(same)
        more = dict.fromkeys(neighbours.between(source.addresses, {flow.address for flow in of_source}))
        if waiting and (len(pins) + len(more) > PINS_MAX or len(waiting) + len(of_source) > FLOWS_MAX):
            yield from _out(waiting, pins, neighbours)
            pins, waiting = {}, []
        pins.update(more)
        waiting += of_source
    yield from _out(waiting, pins, neighbours)


def _out(flows: list[Flow], pins: dict[Pin, None], neighbours: Neighbours) -> Iterator[tuple[Flow, Group | None]]:
    if not flows:
        return
    group = Group(list(pins), len(flows))
    neighbours.hold(group.pins)
    for flow in flows:
        yield flow, group
