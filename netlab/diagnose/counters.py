"""Counters that moved while the packet was on its way: what is left of a loss where nothing better was seen.

The kernel keeps them a network namespace (/proc/net/snmp, snmp6, netstat) and a link, so that in a lab without other
traffic one that moved is this packet's.  Other traffic can move them too: they are asked last.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.diagnose.correlate import Event
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story

# Counter, what kind of finding, words.
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
    ("Ip:InHdrErrors", "loop", "its time to live was over"),
    ("Ip6:InHdrErrors", "loop", "its hop limit was reached"),
    ("Ip:FragFails", "mtu", "it was too big for the next link, and may not be cut"),
    ("Ip6:FragFails", "mtu", "it was too big for the next link, and may not be cut"),
    ("Ip6:InTooBigErrors", "mtu", "it was too big for the next link"),
    ("Udp:InCsumErrors", "checksum", "a UDP packet (VXLAN's are) had a wrong checksum"),
    ("TcpExt:TCPChecksumErrors", "checksum", "a segment had a wrong checksum"),
    ("Udp:NoPorts", "no-vtep", "no socket had the UDP port, VXLAN's or another"),
    ("Udp6:NoPorts", "no-vtep", "no socket had the UDP port, VXLAN's or another"),
    ("Udp:RcvbufErrors", "socket-full", "a UDP socket was full"),
)


def counted(story: Story) -> Iterator[Finding]:
    """A counter moved where the packet was last seen, or in another namespace of its way."""
    last = last_seen(story)
    places = sorted(story.recording.counters, key=lambda netns: netns != (last.netns if last else ""))
    for name, kind, words in _COUNTERS:
        for netns in places:
            count = story.counters(netns).get(name, 0)
            if count and netns in story.concerned:
                says = f"{netns} counted {name} +{count}: {words}"
                yield Finding(kind, says, netns, look=(f"ip netns exec {netns} nstat -az {name.replace(':', '')}",))
                return
    if last is not None:
        yield from _link_counters(story, last)


def overflowed(story: Story) -> Iterator[Finding]:
    """A full accept queue frees the question without any reason: only its counter tells."""
    netns = story.journey.question.netns
    count = story.counters(netns).get("TcpExt:ListenOverflows", 0)
    if count and story.arrived_at_target:
        port = story.question[-1].packet.innermost.dport
        says = f"{netns} counted TcpExt:ListenOverflows +{count}: the process that listens on port {port} does not accept, and its queue is full"
        yield Finding("queue-full", says, netns, look=(f"ip netns exec {netns} ss -tln",))


def _link_counters(story: Story, last: Event) -> Iterator[Finding]:
    """A link's own losses, where the packet was last seen or at the other end of that cable."""
    place = (last.netns, last.interface)
    peer = story.known.peers.get(place)
    for netns, dev in (place, *([peer] if peer else [])):
        for direction in ("tx_dropped", "rx_dropped", "tx_carrier", "tx_errors", "rx_errors"):
            count = story.counters(netns).get(f"dev:{dev} {direction}", 0)
            if count:
                says = f"{dev} of {netns} counted {direction} +{count}"
                yield Finding("link-dropped", says, netns, dev, (f"ip -n {netns} -s link show {dev}",))
                return


def last_seen(story: Story) -> Event | None:
    """The last sighting: of the answer where there was one, else of the question."""
    frames = story.answer or story.question
    return frames[-1] if frames else None
