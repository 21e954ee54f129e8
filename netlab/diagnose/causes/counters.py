"""Counters that changed during the trace: the evidence of last resort.

The kernel keeps them per network namespace (/proc/net/snmp, snmp6, netstat) and per link.  In a lab without other
traffic a changed counter is this packet's; other traffic can change it as well.  So counters are consulted last.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.diagnose.causes import listeners
from netlab.diagnose.finding import Finding
from netlab.diagnose.sightings.correlate import Event
from netlab.diagnose.story import Story

# Counter, kind of finding, text.
_COUNTERS = (
    (
        "TcpExt:IPReversePathFilter",
        "reverse-path",
        "the reverse path filter dropped it: the route back uses another interface",
    ),
    ("IpExt:InNoRoutes", "no-route", "it had no route for it"),
    ("Ip6:InNoRoutes", "no-route", "it had no route for it"),
    ("Ip:OutNoRoutes", "no-route", "it had no route to send it by"),
    ("Ip6:OutNoRoutes", "no-route", "it had no route to send it by"),
    ("Ip:InAddrErrors", "not-forwarded", "it did not forward it: forwarding is off, or it is no router for it"),
    ("Ip6:InAddrErrors", "not-forwarded", "it did not forward it: forwarding is off, or it is no router for it"),
    ("Ip:InHdrErrors", "loop", "its time to live expired"),
    ("Ip6:InHdrErrors", "loop", "its hop limit expired"),
    ("Ip:FragFails", "mtu", "it was too big for the next link, and may not be cut"),
    ("Ip6:FragFails", "mtu", "it was too big for the next link, and may not be cut"),
    ("Ip6:InTooBigErrors", "mtu", "it was too big for the next link"),
    ("Udp:InCsumErrors", "checksum", "a UDP packet (those of VXLAN, Geneve and WireGuard are) had a wrong checksum"),
    ("TcpExt:TCPChecksumErrors", "checksum", "a segment had a wrong checksum"),
    ("Udp:NoPorts", "no-vtep", "no socket had the UDP port, a tunnel's or another"),
    ("Udp6:NoPorts", "no-vtep", "no socket had the UDP port, a tunnel's or another"),
    ("Udp:RcvbufErrors", "socket-full", "a UDP socket was full"),
)


def counted(story: Story) -> Iterator[Finding]:
    """A counter changed where the packet was last seen, or elsewhere on its path."""
    last = last_seen(story)
    namespaces = sorted(story.recording.counters, key=lambda netns: netns != (last.netns if last else ""))
    for name, kind, words in _COUNTERS:
        for netns in namespaces:
            count = story.counters(netns).get(name, 0)
            if count and netns in story.concerned:
                if name.endswith("OutNoRoutes") and last is not None and last.at in story.topology.tunnels:
                    words = f"it could not route the {story.tunnel} packet of {last.interface}"
                message = f"{netns} counted {name} +{count}: {words}"
                yield Finding(kind, message, netns, look=(f"ip netns exec {netns} nstat -az {name.replace(':', '')}",))
                return
    if last is not None:
        yield from _link_counters(story, last)


def overflowed(story: Story) -> Iterator[Finding]:
    """A full accept queue frees the request without a reason: only its counter shows the loss."""
    netns = story.round_trip.request.netns
    count = story.counters(netns).get("TcpExt:ListenOverflows", 0)
    if count and story.arrived_at_target and not any(listeners.busy(story)):
        port = story.request[-1].packet.innermost.dport
        message = f"{netns} counted TcpExt:ListenOverflows +{count}: the process that listens on port {port} does not accept, and its queue is full"
        yield Finding("queue-full", message, netns, look=(f"ip netns exec {netns} ss -tln",))


def _link_counters(story: Story, last: Event) -> Iterator[Finding]:
    """A link's own loss counters, at the last sighting or at the other end of that cable."""
    interface = last.at
    peer = story.topology.peers.get(interface)
    for netns, dev in (interface, *([peer] if peer else [])):
        for direction in ("tx_dropped", "rx_dropped", "tx_carrier", "tx_errors", "rx_errors"):
            count = story.counters(netns).get(f"dev:{dev} {direction}", 0)
            if count:
                message = f"{dev} of {netns} counted {direction} +{count}"
                if direction == "tx_carrier" and (netns, dev) in story.topology.tunnels:
                    message += f": it could not route its {story.tunnel} packet"
                yield Finding("link-dropped", message, netns, dev, (f"ip -n {netns} -s link show {dev}",))
                return


def last_seen(story: Story) -> Event | None:
    """The last sighting: the reply's if there is a reply, else the request's."""
    frames = story.reply or story.request
    return frames[-1] if frames else None
