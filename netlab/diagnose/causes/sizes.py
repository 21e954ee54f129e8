"""A packet that is too big: for the next link, for its tunnel, for the other end of a cable, for a bridge's port."""

from __future__ import annotations

from netlab.diagnose.causes.reasons import packet_word
from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import look_tunnels
from netlab.diagnose.sightings.correlate import ERROR, Event
from netlab.diagnose.story import Story


def too_big(story: Story, event: Event) -> Finding:
    """The packet is too big to be forwarded."""
    error = next((sighting for sighting in story.errors if sighting.packet.innermost.mtu), None)
    size = event.packet.length
    route = story.topology.route(event.netns, event.packet.target)
    link = f", {route.dev}{of_mtu(story, event.netns, route.dev)}," if route else ""
    message = f"{size} bytes do not fit the next link{link} in {event.netns}, and the packet may not be cut (DF)"
    if error is not None:
        message += f"; {error.netns} reports MTU {error.packet.innermost.mtu} to the sender"
    elif not any(sighting.role == ERROR for sighting in story.events):
        message += "; no ICMP error reports this to the sender (a black hole for path MTU discovery)"
    dev = route.dev if route else event.interface
    return Finding(
        "mtu",
        message,
        event.netns,
        dev,
        (f"ip -n {event.netns} link show {dev}", f"ip -n {event.netns} route get {event.packet.target}"),
    )


def outer_too_big(story: Story, event: Event) -> Finding:
    """The packet is too big to be sent, and must not be fragmented."""
    message = (
        f"{event.packet.length} bytes do not fit {event.interface} of {event.netns}"
        f"{of_mtu(story, event.netns, event.interface)}, and the packet may not be cut (DF)"
    )
    if event.packet.inner is not None or event.packet.dport in story.topology.tunnel_ports():
        message = (
            f"the {story.tunnel} packet of {event.packet.length} bytes does not fit {event.interface} of {event.netns}"
            f"{of_mtu(story, event.netns, event.interface)}: the overlay's MTU is too big for the underlay"
        )
    look = (f"ip -n {event.netns} link show {event.interface}", look_tunnels(event.netns, story.tunnel))
    return Finding("mtu", message, event.netns, look=look)


def peer_too_small(story: Story, event: Event) -> Finding:
    """The other end of the cable has a smaller MTU."""
    peer = story.topology.peers.get(event.at)
    far_end = f"{peer[1]} in {peer[0]}" if peer else "its other end"
    why = _too_small(story, event, *peer) if peer else "larger than that end's MTU, or it is down"
    message = f"{event.interface} of {event.netns} could not hand {packet_word(event)} ({event.packet.length} bytes) to {far_end}: {why}"
    look = tuple(f"ip -n {netns} link show {dev}" for netns, dev in (event.at, *([peer] if peer else [])))
    return Finding("mtu", message, peer[0] if peer else event.netns, peer[1] if peer else event.interface, look)


def of_mtu(story: Story, netns: str, interface: str) -> str:
    """The recorded MTU of a link, as a part of a sentence; "" if unknown."""
    mtu = story.recording.mtus.get(netns, {}).get(interface)
    return f" (MTU {mtu})" if mtu else ""


def _too_small(story: Story, event: Event, netns: str, interface: str) -> str:
    """Why a link cannot take a frame, by the link's recorded MTU."""
    mtu = story.recording.mtus.get(netns, {}).get(interface)
    if mtu is None:
        return "larger than its MTU, or it is down"
    if not mtu:
        return "that link is down"
    return f"larger than its MTU, {mtu}" if mtu < event.packet.length else f"its MTU is {mtu}, and it is up"


def port_too_small(story: Story, event: Event) -> Finding:
    """The bridge port has a smaller MTU."""
    noun = f"{packet_word(event)} ({event.packet.length} bytes)"
    why = _too_small(story, event, event.netns, event.interface)
    message = f"{noun} was not sent out of port {event.interface} of {event.netns}: {why}"
    return Finding("mtu", message, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))
