"""Drops without a reason: what the function and other evidence tell.

Kernels before 5.17 give no reasons, and later ones not everywhere.  Each function here looks for what singles one cause
out, and says nothing (None) where more than one would do.
"""

from __future__ import annotations

from netlab.diagnose import reasons
from netlab.diagnose.correlate import FRAME, Event
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.evidence.records import OTHERHOST


def received(story: Story, event: Event) -> Finding | None:
    """Where packets are received: the frame's MAC or a counter may tell."""
    here = [
        one
        for one in story.events
        if one.kind == FRAME and (one.number, one.netns, one.interface) == (event.number, event.netns, event.interface)
    ]
    if here and here[-1].direction == OTHERHOST:
        return reasons.other_host(story, event)
    if story.counters(event.netns).get("TcpExt:IPReversePathFilter"):
        return reasons.reverse_path(story, event)
    return None


def forwarded(story: Story, event: Event) -> Finding | None:
    """Where packets are forwarded: its time to live was over, it was too big, or it may not be forwarded."""
    if event.packet.hops <= 1:
        return reasons.ttl(story, event)
    moved = story.counters(event.netns)
    if any(moved.get(name) for name in ("Ip:FragFails", "Ip6:FragFails", "Ip6:InTooBigErrors")):
        return reasons.too_big(story, event)
    return reasons.not_forwarded(story, event) if moved.get("Ip6:InAddrErrors") else None


def unrouted(story: Story, event: Event) -> Finding:
    """Where what has no route ends: forwarding is off, there is none, or the one that is there refuses."""
    moved = story.counters(event.netns)
    if moved.get("Ip:InAddrErrors"):
        return reasons.not_forwarded(story, event)
    if moved.get("IpExt:InNoRoutes") or moved.get("Ip6:InNoRoutes"):
        return reasons.no_route(story, event)
    return reasons.refusing_route(story, event)


def kept_in(story: Story, event: Event) -> Finding:
    """Where a bridge looks for a port to send by, and finds none that may."""
    bridge = story.known.master((event.netns, event.interface)) or "its bridge"
    says = (
        f"{bridge} of {event.netns} did not send on what came by port {event.interface}: the port that it leads to is "
        "down or isolated, or is the same one and hairpin is off"
    )
    return Finding("no-port", says, event.netns, event.interface, (f"bridge -n {event.netns} -d link",))
