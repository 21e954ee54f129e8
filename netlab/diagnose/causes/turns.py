"""Where a packet diverged from its path, and which namespace misdirected it.

A router forwards by its route, a bridge by the frame's MAC, which the sender chose; a cable and a tunnel forward
everything.  So a frame on a wrong port, or at an interface with another MAC, leads back to the namespace that
addressed it.  If the MAC is right, the bridge is at fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from netlab.diagnose.causes import reasons
from netlab.diagnose.expected.expect import Divergence
from netlab.diagnose.expected.path import Hop, Path
from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import look_route
from netlab.diagnose.sightings.correlate import REPLY, REQUEST, TITLES, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import IN, OTHERHOST, OUT
from netlab.wire.packets import Packet


def turned(story: Story) -> Iterator[Finding]:
    """The packet was seen off its path."""
    for left, role in ((story.request_left, REQUEST), (story.reply_left, REPLY)):
        if left is None or left.went is None or left.expected is None:
            continue
        if any(drop.role == role and drop.at == left.expected.at for drop in story.drops):
            return  # a bridge floods: the packet was at the right port, too, and was dropped there
        if left.went.direction == OTHERHOST:
            yield from _misaddressed(story, left.went, role)
        else:
            yield wrong_turn(story, left, role)
        return  # a reply from another namespace has another path: that is no second fault


def _misaddressed(story: Story, went: Hop, role: str) -> Iterator[Finding]:
    """The frame reached an interface with another MAC."""
    if any(sighting.drop is not None and sighting.drop.reason == "OTHERHOST" for sighting in story.drops):
        return  # the kernel's drop reports it
    event = _sighting(story, went, role)
    yield from_whom(story, event, reasons.other_host(story, event))


def _frames(story: Story, role: str) -> tuple[Event, ...]:
    return story.reply if role == REPLY else story.request


def _sighting(story: Story, hop: Hop, role: str) -> Event:
    there = [event for event in _frames(story, role) if event.at == hop.at]
    return next((event for event in there if (event.direction == OUT) == (hop.direction == OUT)), there[0])


def wrong_turn(story: Story, left: Divergence, role: str) -> Finding:
    """The finding for a divergence: its place and the namespace at fault."""
    went = left.went
    assert went is not None
    netns, because, look = _turner(story, left, role)
    message = f"the {TITLES[role]} left its expected path: {left}" + (f": {because}" if because else "")
    return Finding("wrong-turn", message, netns, went.interface if netns == went.netns else "", look, root=True)


def _turner(story: Story, left: Divergence, role: str) -> tuple[str, str, tuple[str, ...]]:
    after, expected, went = left.after, left.expected, left.went
    assert went is not None
    target = _sighting(story, went, role).packet.innermost
    if after is None or expected is None:
        netns = story.recording.probe.netns
        return netns, "", look_route(netns, target, "")
    topology, frames = story.topology, _frames(story, role)
    if _replugged(story, after, expected, went):
        message = f"the other end of {after.interface} is {went.interface} of {went.netns}"
        return went.netns, message, (f"ip -n {went.netns} link show {went.interface}",)
    bridge = _bridge(story, after, expected)
    if not bridge:
        iif = after.interface if after.direction == IN else ""
        return after.netns, _router(story, role, after.netns, target), look_route(after.netns, target, iif)
    link = _sighting(story, after, role).packet.link
    mac, meant = link.target if link else "", _mac_meant(story, expected)
    if mac and meant and mac != meant:
        sender = _addresser(frames, mac, after)
        owner = topology.mac_owners(mac)
        whose = f"{owner[0][1]} of {owner[0][0]}" if owner else "nobody has it"
        message = f"{sender} sent it to MAC {mac} ({whose}) and not to {meant}"
        return sender, message, (f"ip -n {sender} route get {target.target}", f"ip -n {sender} neigh")
    look = (f"bridge -n {after.netns} link", f"bridge -n {after.netns} fdb show br {bridge}")
    if expected.interface == bridge:
        others = [event for event in frames if event.netns == after.netns and event.direction == OUT]
        if any(topology.master(event.at) == bridge for event in others):  # only a port's frames are flooded
            return after.netns, f"{bridge} floods the frame, and does not take its own MAC {mac} as its own", look[1:]
        return after.netns, f"{after.interface} is not handled as a port of {bridge}", look[:1]
    return after.netns, f"{bridge} does not send MAC {mac} to port {expected.interface}", look


def _replugged(story: Story, after: Hop, expected: Hop, went: Hop) -> bool:
    """Whether a cable of the lab ends elsewhere: the frame came out of an interface that no cable from there has."""
    peers = story.topology.peers
    if after.direction != OUT or went.direction == OUT or peers.get(after.at) != expected.at:
        return False
    return peers.get(went.at, ("", ""))[0] != after.netns


def rescued(story: Story) -> Iterator[Finding]:
    """The packet arrived despite a wrong MAC: a translation below the bridge corrected it."""
    topology = story.topology
    for path, frames in ((story.round_trip.request, story.request), (story.round_trip.reply, story.reply)):
        for (after, event), (expected, _) in pairwise(_aligned(path, frames)):
            # Only below a bridge can the MAC change while the packet keeps its path.
            taken_up = after.netns == expected.netns and expected.at in topology.bridges
            if not taken_up or expected.direction != IN or event.packet.link is None:
                continue
            mac, meant = event.packet.link.target, _mac_meant(story, expected)
            owners = topology.mac_owners(mac)
            if mac == meant or not owners:
                continue
            sender = _addresser(frames, mac, after)
            whose = f"{owners[0][1]} of {owners[0][0]}"
            message = f"it arrived, though {sender} sent it to MAC {mac} ({whose}) and not to {meant}"
            look = (f"ip -n {sender} route get {event.packet.innermost.target}", f"ip -n {sender} neigh")
            yield Finding("detour", message, sender, look=look, root=True)
            return


def _aligned(path: Path | None, frames: tuple[Event, ...]) -> Iterator[tuple[Hop, Event]]:
    """The hops of a path with their sightings, in order: an interface can be passed twice."""
    at = 0
    for hop in path.hops if path is not None else ():
        wanted = hop.netns, hop.interface, hop.direction == OUT
        for number in range(at, len(frames)):
            event = frames[number]
            if (event.netns, event.interface, event.direction == OUT) == wanted:
                at = number + 1
                yield hop, event
                break


def _router(story: Story, role: str, netns: str, packet: Packet) -> str:
    """Why a namespace routed the packet elsewhere: a wrong target address or a wrong route."""
    round_trip, address = story.round_trip, story.recording.probe.address
    if role == REQUEST and netns in round_trip.request.translated and packet.target == address != round_trip.backend:
        return f"no rule translated {address} to the address of a backend"
    if role == REPLY and packet.target == round_trip.source and not story.topology.owners(round_trip.seen_as):
        return f"a translation that is not the lab's gave the request the source {round_trip.seen_as}; the reply goes to {packet.target}"
    return ""


def _bridge(story: Story, after: Hop, expected: Hop) -> str:
    """The bridge between two hops; "" if a route is between them."""
    topology = story.topology
    if after.netns != expected.netns:
        return topology.master(after.at) if after.direction == OUT else ""
    into = after.interface if after.at in topology.bridges and after.direction == OUT else ""
    return into or (topology.master(after.at) if after.direction == IN else "")


def _mac_meant(story: Story, expected: Hop) -> str:
    topology = story.topology
    interface = expected.at
    if interface in topology.bridges or (expected.direction == IN and not topology.master(interface)):
        return topology.mac.get(interface, "")
    peer = topology.peers.get(interface)
    return topology.mac.get(peer, "") if peer and expected.direction == OUT else ""


def _addresser(frames: tuple[Event, ...], mac: str, after: Hop) -> str:
    """The namespace that set a frame's target MAC: its first sighting with that MAC."""
    first = next((event for event in frames if event.packet.link and event.packet.link.target == mac), None)
    return first.netns if first else after.netns


def from_whom(story: Story, event: Event, finding: Finding) -> Finding:
    """Attribute a finding about a wrong MAC to the namespace that set it; other findings stay as they are."""
    frames = _frames(story, event.role)
    last = next(
        (
            sighting
            for sighting in reversed(frames)
            if sighting.netns == event.netns and sighting.interface == event.interface
        ),
        None,
    )
    if finding.kind != "wrong-mac" or last is None or last.packet.link is None:
        return finding
    mac = last.packet.link.target
    first = next(
        (
            sighting
            for sighting in frames
            if any(layer.link and layer.link.target == mac for layer in sighting.packet.layers)
        ),
        last,
    )
    meant = {hop.at for path in story.round_trip.paths for hop in path.hops}
    if first.netns == event.netns or meant & set(story.topology.mac_owners(mac)):
        return finding  # a flooded copy has the right MAC
    return replace(
        finding,
        message=f"{finding.message}; {first.netns} sent it with this address, out of {first.interface}",
        netns=first.netns,
        interface=first.interface,
        look=(f"ip -n {first.netns} neigh show dev {first.interface}", *finding.look),
    )
