"""Which sighting of a packet follows which: a packet that a bridge floods is a tree of sightings and no line.

``predecessors`` asks the lab's wiring where a frame at an interface comes from: the other end of the cable, another
port of the bridge, the tunnel's outer packet, the interface by which the namespace received it.  Where no sighting is
there (another program's device, lost records), the packet's last sighting before stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from netlab.diagnose.expected.topology import Topology
from netlab.diagnose.sightings.correlate import FRAME, RULES, Event
from netlab.evidence.records import OUT

Test = Callable[[Event], bool]


def predecessors(events: Sequence[Event], topology: Topology) -> list[int | None]:
    """By event, the index of the sighting before it of the same packet; None for the first."""
    frames: dict[int, list[int]] = {}
    indexes: list[int | None] = []
    for index, event in enumerate(events):
        earlier = frames.setdefault(event.number, [])
        if event.kind == FRAME:
            indexes.append(_sighting(events, earlier, event, topology))
            earlier.append(index)
        else:
            indexes.append(_judged_at(events, earlier, event))
    return indexes


def _judged_at(events: Sequence[Event], earlier: Sequence[int], event: Event) -> int | None:
    """The sighting that rules or a drop follow, in their own namespace."""
    here = [index for index in earlier if events[index].netns == event.netns]
    same = [index for index in here if events[index].interface == event.interface and event.kind != RULES]
    return max(same or here, default=None)


def _sighting(events: Sequence[Event], earlier: Sequence[int], event: Event, topology: Topology) -> int | None:
    part = [index for index in earlier if events[index].packet.offset == event.packet.offset]
    choices: list[Sequence[int]] = [part, earlier]
    for candidates in choices:
        for test in _origins(event, topology):
            index = next((index for index in reversed(candidates) if test(events[index])), None)
            if index is not None:
                return index
    return max(part or earlier, default=None)


def _origins(event: Event, topology: Topology) -> Iterator[Test]:
    """Where the frame may come from, the surest first."""
    netns, master = event.netns, topology.master(event.at)
    here: Test = lambda other: other.netns == netns  # noqa: E731 - the first word of three tests
    if event.direction != OUT:
        peer = topology.peers.get(event.at)
        if event.interface == "lo":
            yield lambda other: other.at == event.at and other.direction == OUT
        elif event.at in topology.tunnels:
            yield lambda other: here(other) and other.direction != OUT and other.packet.inner is not None
        elif event.at in topology.bridges:
            yield lambda other: here(other) and other.direction != OUT and topology.master(other.at) == event.interface
        elif peer is not None:
            yield lambda other: other.at == peer and other.direction == OUT
        return
    if master:
        bridge = (netns, master)
        yield (
            lambda other: (
                (other.at == bridge and other.direction == OUT)
                or (here(other) and other.direction != OUT and topology.master(other.at) == master)
            )
        )
    if event.packet.inner is not None and event.at not in topology.tunnels:
        yield lambda other: here(other) and other.direction == OUT and other.at in topology.tunnels
    yield lambda other: here(other) and other.direction != OUT and not topology.master(other.at)
    yield here
