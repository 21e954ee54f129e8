"""A time to live that was over: of the packet itself or of its tunnel's packet, and the place that made it too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import look_route, look_tables
from netlab.diagnose.sightings.correlate import Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT
from netlab.values import dataclass
from netlab.wire import packets
from netlab.wire.packets import Packet


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A packet's time to live at a place; ``tunnel`` is the device that the packet left by before it was encapsulated."""

    netns: str
    interface: str
    direction: str
    hops: int
    tunnel: str = ""


def exceeded(story: Story, event: Event) -> Finding:
    """The finding for a packet that was dropped since its time to live expired."""
    return over(story, event.number, event.packet, event.netns, event.interface)


def over(story: Story, number: int, packet: Packet, netns: str, interface: str) -> Finding:
    """The finding; ``packet`` as it was in ``netns``, where its time was over."""
    outer = packet.inner is not None or (
        packet.protocol == packets.UDP and packet.dport in story.topology.tunnel_ports()
    )
    noun = f"the {story.tunnel} packet's" if outer else "its"
    message = f"{noun} {'time to live' if packet.version == 4 else 'hop limit'} expired in {netns}"
    trail = list(_trail(story, number, outer=outer))
    look = look_route(netns, packet, interface)
    if (between := _circle(story, number)) is not None:
        return Finding("loop", f"{message}: it went in a loop{between}", netns, look=look)
    end = _Sighting(netns, interface, "", packet.hops)
    for before, after in pairwise([*trail, end]):
        if before.hops - after.hops > 1:
            netns = before.netns if before.netns != after.netns else after.netns
            message += f": {netns} lowered it from {before.hops} to {after.hops}"
            return Finding("ttl", message, netns, look=look_tables(story, netns), root=True)
    if not trail:
        return Finding("ttl", message, netns, look=look)
    first = trail[0]
    if outer and first.tunnel:
        message += f": {first.tunnel} of {first.netns} sent it with {first.hops}, which is too little for its path"
        look = (f"ip -n {first.netns} -d link show {first.tunnel}", *look)
        return Finding("ttl", message, first.netns, first.tunnel, look, root=True)
    message += f": it left {first.netns} with {first.hops}, which is too little for its path"
    own = f"ip netns exec {first.netns} sysctl {_sysctl(packet.version, first.interface)}"
    look = (own, *look_route(first.netns, packet, ""), *look)
    return Finding("ttl", message, netns, look=look)


def _sysctl(version: int, interface: str) -> str:
    """The sysctl in force: in IPv6 that of the interface."""
    return "net.ipv4.ip_default_ttl" if version == 4 else f"net.ipv6.conf.{interface}.hop_limit"


def _trail(story: Story, number: int, *, outer: bool) -> Iterator[_Sighting]:
    """The sightings of the packet, or of its tunnel's packet; of two tunnels in turn the last one's."""
    seen: list[_Sighting] = []
    before: Event | None = None
    for event in story.sightings(number):
        packet = event.packet
        if packet.offset:
            continue
        if outer and packet.inner is None:
            seen.clear()
        else:
            tunnel = before.interface if before is not None and before.at in story.topology.tunnels else ""
            hops = packet.hops if outer else packet.innermost.hops
            seen.append(_Sighting(event.netns, event.interface, event.direction, hops, tunnel if outer else ""))
        before = event
    yield from seen


def _circle(story: Story, number: int) -> str | None:
    """Between which namespaces a packet went in circles; None if it passed no interface twice."""
    seen: Sequence[Event] = [event for event in story.sightings(number) if not event.packet.innermost.offset]
    points = [(*event.at, event.direction == OUT) for event in seen]
    if len(set(points)) == len(points):
        return None
    names = list(dict.fromkeys(netns for netns, _, _ in points))
    return f" between {' and '.join(names[-2:])}" if len(names) > 1 else ""
