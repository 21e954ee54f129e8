"""Where a packet turned wrong, and who turned it.

A router turns a packet by its route; a bridge by the frame's MAC, which the sender gave it; a cable and a tunnel hand
over what they get.  So a frame that a bridge sends to the wrong port, or that comes to an interface whose MAC it has not,
leads back to the namespace that addressed it, unless the MAC is the right one: then the bridge is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from netlab.diagnose import reasons
from netlab.diagnose.correlate import ANSWER, QUESTION, TITLES, Event
from netlab.diagnose.expect import Divergence
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.diagnose.way import Hop, Way
from netlab.diagnose.words import look_route
from netlab.evidence.records import IN, OTHERHOST, OUT
from netlab.wire.packets import Packet


def turned(story: Story) -> Iterator[Finding]:
    """It was seen where it should not have been."""
    for left, way in ((story.question_left, QUESTION), (story.answer_left, ANSWER)):
        if left is None or left.went is None or left.expected is None:
            continue
        if left.went.direction == OTHERHOST:
            yield from _misaddressed(story, left.went, way)
        else:
            yield wrong_turn(story, left, way)
        return  # who answers from elsewhere answers by another way: that is no second fault


def _misaddressed(story: Story, went: Hop, way: str) -> Iterator[Finding]:
    """It came for a MAC that the interface has not."""
    if any(one.drop is not None and one.drop.reason == "OTHERHOST" for one in story.drops):
        return  # the kernel says so itself
    event = _sighting(story, went, way)
    yield from_whom(story, event, reasons.other_host(story, event))


def _frames(story: Story, way: str) -> tuple[Event, ...]:
    return story.answer if way == ANSWER else story.question


def _sighting(story: Story, hop: Hop, way: str) -> Event:
    there = [one for one in _frames(story, way) if (one.netns, one.interface) == (hop.netns, hop.interface)]
    return next((one for one in there if (one.direction == OUT) == (hop.direction == OUT)), there[0])


def wrong_turn(story: Story, left: Divergence, way: str) -> Finding:
    """The place where it left its way, and who turned it."""
    went = left.went
    assert went is not None
    netns, because, look = _turner(story, left, way)
    says = f"the {TITLES[way]} left its expected path: {left}" + (f": {because}" if because else "")
    return Finding("wrong-turn", says, netns, went.interface if netns == went.netns else "", look, root=True)


def _turner(story: Story, left: Divergence, way: str) -> tuple[str, str, tuple[str, ...]]:
    after, expected, went = left.after, left.expected, left.went
    assert went is not None
    target = _sighting(story, went, way).packet.innermost
    if after is None or expected is None:
        netns = story.recording.probe.netns
        return netns, "", look_route(netns, target, "")
    known, frames = story.known, _frames(story, way)
    bridge = _bridge(story, after, expected)
    if not bridge:
        iif = after.interface if after.direction == IN else ""
        return after.netns, _router(story, way, after.netns, target), look_route(after.netns, target, iif)
    link = _sighting(story, after, way).packet.link
    mac, meant = link.target if link else "", _mac_meant(story, expected)
    if mac and meant and mac != meant:
        sender = _addresser(frames, mac, after)
        owner = known.mac_owners(mac)
        whose = f"{owner[0][1]} of {owner[0][0]}" if owner else "nobody has it"
        says = f"{sender} sent it to MAC {mac} ({whose}) and not to {meant}"
        return sender, says, (f"ip -n {sender} route get {target.target}", f"ip -n {sender} neigh")
    look = (f"bridge -n {after.netns} link", f"bridge -n {after.netns} fdb show br {bridge}")
    if expected.interface == bridge:
        return after.netns, f"{after.interface} is not handled as a port of {bridge}", look[:1]
    return after.netns, f"{bridge} does not send MAC {mac} to port {expected.interface}", look


def rescued(story: Story) -> Iterator[Finding]:
    """It arrived although its sender addressed a frame to the wrong MAC: a translation below the bridge set it right."""
    known = story.known
    for way, frames in ((story.journey.question, story.question), (story.journey.answer, story.answer)):
        for (after, event), (expected, _) in pairwise(_aligned(way, frames)):
            # Only where a bridge takes it up may the MAC have been changed below it, and the packet still kept its way.
            taken_up = after.netns == expected.netns and (expected.netns, expected.interface) in known.bridges
            if not taken_up or expected.direction != IN or event.packet.link is None:
                continue
            mac, meant = event.packet.link.target, _mac_meant(story, expected)
            owners = known.mac_owners(mac)
            if mac == meant or not owners:
                continue
            sender = _addresser(frames, mac, after)
            whose = f"{owners[0][1]} of {owners[0][0]}"
            says = f"it arrived, though {sender} sent it to MAC {mac} ({whose}) and not to {meant}"
            look = (f"ip -n {sender} route get {event.packet.innermost.target}", f"ip -n {sender} neigh")
            yield Finding("detour", says, sender, look=look, root=True)
            return


def _aligned(way: Way | None, frames: tuple[Event, ...]) -> Iterator[tuple[Hop, Event]]:
    """The hops of a way with their sightings, in order: an interface can be passed twice."""
    at = 0
    for hop in way.hops if way is not None else ():
        place = hop.netns, hop.interface, hop.direction == OUT
        for number in range(at, len(frames)):
            one = frames[number]
            if (one.netns, one.interface, one.direction == OUT) == place:
                at = number + 1
                yield hop, one
                break


def _router(story: Story, way: str, netns: str, packet: Packet) -> str:
    """Why a namespace routed it elsewhere: it had another target than is meant by then, or by its route."""
    journey, address = story.journey, story.recording.probe.address
    if way == QUESTION and netns in journey.question.translated and packet.target == address != journey.backend:
        return f"nothing translated {address} to the address of a backend"
    if way == ANSWER and packet.target == journey.source and not story.known.owners(journey.seen_as):
        return f"it was asked as {journey.seen_as}, by a translation that is not the lab's, and goes to {packet.target}"
    return "the route is not of the lab"


def _bridge(story: Story, after: Hop, expected: Hop) -> str:
    """The bridge that should have taken the frame from one to the other; "" where a route should have."""
    known = story.known
    if after.netns != expected.netns:
        return known.master((after.netns, after.interface)) if after.direction == OUT else ""
    into = after.interface if (after.netns, after.interface) in known.bridges and after.direction == OUT else ""
    return into or (known.master((after.netns, after.interface)) if after.direction == IN else "")


def _mac_meant(story: Story, expected: Hop) -> str:
    known = story.known
    place = (expected.netns, expected.interface)
    if place in known.bridges or (expected.direction == IN and not known.master(place)):
        return known.mac.get(place, "")
    peer = known.peers.get(place)
    return known.mac.get(peer, "") if peer and expected.direction == OUT else ""


def _addresser(frames: tuple[Event, ...], mac: str, after: Hop) -> str:
    """The namespace that gave a frame its target MAC: where it was seen first with it."""
    first = next((one for one in frames if one.packet.link and one.packet.link.target == mac), None)
    return first.netns if first else after.netns


def from_whom(story: Story, event: Event, found: Finding) -> Finding:
    """A finding about a wrong MAC, led back to whoever gave the frame that MAC; any other as it is."""
    frames = _frames(story, event.way)
    last = next(
        (one for one in reversed(frames) if one.netns == event.netns and one.interface == event.interface), None
    )
    if found.kind != "wrong-mac" or last is None or last.packet.link is None:
        return found
    mac = last.packet.link.target
    first = next(
        (one for one in frames if any(layer.link and layer.link.target == mac for layer in one.packet.layers)), last
    )
    ways = [way for way in (story.journey.question, story.journey.answer) if way is not None]
    meant = {(hop.netns, hop.interface) for way in ways for hop in way.hops}
    if first.netns == event.netns or meant & set(story.known.mac_owners(mac)):
        return found  # a copy that a bridge flooded has the right MAC
    return replace(
        found,
        says=f"{found.says}; {first.netns} addressed it so, from {first.interface}",
        netns=first.netns,
        interface=first.interface,
        look=(f"ip -n {first.netns} neigh show dev {first.interface}", *found.look),
    )
