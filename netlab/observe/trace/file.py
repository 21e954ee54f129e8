"""A traced packet as a pcapng: each sighting at its interface, what happened to it as comments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from netlab.diagnose.sightings.correlate import DROP, FRAME, RULES, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import Frame
from netlab.observe.packetid import packet_id
from netlab.wire.pcapng import ETHERNET, RAW_IP, Interface, Writer

_FrameKey = tuple[str, str, str, int]


def write(out: Callable[[bytes], object], story: Story, names: Mapping[str, Sequence[str]], headline: str) -> None:
    """Write the frames of a story, in true order; with them what the rules and the kernel said."""
    recording = story.recording
    writer = Writer(out, headline)
    writer.names(names)
    comments = _comments(story.events)
    prefix = f"{recording.lab}-"
    for frame in recording.frames:
        link_type = RAW_IP if frame.bare else ETHERNET
        named = f"{frame.netns.removeprefix(prefix)}/{frame.interface}"
        interface = Interface(named, f"netns {frame.netns}", link_type=link_type)
        writer.packet(
            writer.add(interface),
            frame.time,
            frame.data,
            length=frame.length,
            direction=frame.direction,
            comments=comments.get(_frame_key(frame), ()),
            packet_id=packet_id(frame.data, not frame.bare),
        )


def _frame_key(frame: Frame) -> _FrameKey:
    return frame.netns, frame.interface, frame.direction, frame.time


def _comments(events: Sequence[Event]) -> Mapping[_FrameKey, list[str]]:
    """By sighting, what happened since the last one, and what came after it before the next: verdicts and drops."""
    comments: dict[_FrameKey, list[str]] = defaultdict(list)
    last: dict[tuple[str, int], _FrameKey] = {}
    for event in events:
        here = event.netns, event.number
        if event.kind == FRAME:
            key = event.netns, event.interface, event.direction, event.time
            comments[key] += event.notes
            last[here] = key
        elif here in last and event.kind == RULES and event.judgement is not None:
            comments[last[here]].append(f"nft {event.judgement.hook}: {'; '.join(event.notes)}")
        elif here in last and event.kind == DROP and event.drop is not None:
            comments[last[here]].append(f"dropped: {event.drop.reason} in {event.drop.function}")
    return comments
