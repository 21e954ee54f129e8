"""Flows in groups of sources, so that static neighbours come and go a few thousand at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from netlab.observe.neighbours import StaticNeighbour, StaticNeighbours
from netlab.oracle.flow import Flow

#: The most neighbours of a group, unless its first source needs more: 5 us each over rtnetlink, so 0.1 s.
NEIGHBOURS_MAX = 20_000
FLOWS_MAX = 50_000


class Group:
    """Flows that share static neighbours; ``left`` counts those without a verdict."""

    __slots__ = ("entries", "left")

    def __init__(self, entries: list[StaticNeighbour], left: int) -> None:
        self.entries, self.left = entries, left


def feed(flows: Iterable[Flow], neighbours: StaticNeighbours | None) -> Iterator[tuple[Flow, Group | None]]:
    """Yield each flow with its group.  The group's neighbours are in the kernel before its first flow."""
    if neighbours is None or not neighbours.wanted:
        for flow in flows:
            yield flow, None
        return
    entries: dict[StaticNeighbour, None] = {}
    waiting: list[Flow] = []
    for source, same in groupby(flows, key=itemgetter(0)):
        of_source = list(same)
        more = dict.fromkeys(neighbours.between(source.addresses, {flow.address for flow in of_source}))
        if waiting and (len(entries) + len(more) > NEIGHBOURS_MAX or len(waiting) + len(of_source) > FLOWS_MAX):
            yield from _out(waiting, entries, neighbours)
            entries, waiting = {}, []
        entries.update(more)
        waiting += of_source
    yield from _out(waiting, entries, neighbours)


def _out(
    flows: list[Flow], entries: dict[StaticNeighbour, None], neighbours: StaticNeighbours
) -> Iterator[tuple[Flow, Group | None]]:
    if not flows:
        return
    group = Group(list(entries), len(flows))
    neighbours.hold(group.entries)
    for flow in flows:
        yield flow, group
