"""Drops without a reason, explained by their function and other evidence.

Kernels before 5.17 give no reasons, and later kernels not everywhere.  Each function looks for evidence of a single
cause, and returns None if several are possible.
"""

from __future__ import annotations

from netlab.diagnose.causes import lifetimes, reasons, sizes
from netlab.diagnose.finding import Finding
from netlab.diagnose.sightings.correlate import Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OTHERHOST


def received(story: Story, event: Event) -> Finding | None:
    """A drop on receive: the frame's MAC or a counter may show the cause."""
    here = [sighting for sighting in story.sightings(event.number) if sighting.at == event.at]
    if here and here[-1].direction == OTHERHOST:
        return reasons.other_host(story, event)
    if story.counters(event.netns).get("TcpExt:IPReversePathFilter"):
        return reasons.reverse_path(story, event)
    return None


def forwarded(story: Story, event: Event) -> Finding | None:
    """A drop on forwarding: TTL exceeded, too big, or forwarding is off."""
    if event.packet.hops <= 1:
        return lifetimes.exceeded(story, event)
    moved = story.counters(event.netns)
    if any(moved.get(name) for name in ("Ip:FragFails", "Ip6:FragFails", "Ip6:InTooBigErrors")):
        return sizes.too_big(story, event)
    return reasons.not_forwarded(story, event) if moved.get("Ip6:InAddrErrors") else None


def unrouted(story: Story, event: Event) -> Finding:
    """A drop without a route: forwarding is off, no route exists, or the route rejects."""
    moved = story.counters(event.netns)
    if moved.get("Ip:InAddrErrors"):
        return reasons.not_forwarded(story, event)
    if moved.get("IpExt:InNoRoutes") or moved.get("Ip6:InNoRoutes"):
        return reasons.no_route(story, event)
    return reasons.refusing_route(story, event)


def kept_in(story: Story, event: Event) -> Finding:
    """A drop in a bridge that found no egress port."""
    bridge = story.topology.master(event.at) or "its bridge"
    message = (
        f"{bridge} of {event.netns} did not forward the frame from port {event.interface}: the port of its MAC is "
        "down or isolated, or it is the same port and hairpin is off"
    )
    return Finding("no-port", message, event.netns, event.interface, (f"bridge -n {event.netns} -d link",))
