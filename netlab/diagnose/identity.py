"""Which packet is which: across hops, under other addresses, inside and outside of tunnels.

NAT changes addresses and ports, routers the TTL, tunnels everything around.  What stays is ``identity``: of the innermost
packet the protocol, IPv4's identification, sequence and acknowledgement numbers, flags, and how long it is.  A datagram
that was cut is its first fragment, and is still the same where connection tracking puts it together on its way: so of
UDP the header's own length counts, and of a ping its first bytes.  The kernel gives a TCP retransmission a new identification, so each attempt is a packet of its own; IPv6 has none, so there an
attempt is told by the packet's being sent again where it was sent first.

``Recogniser`` says what a packet has to do with the probe: it is the QUESTION (by the probe's marker: TCP's first
sequence number, or the first bytes of the payload), the ANSWER (it acknowledges that number, or goes the other way
between the same ends), an ERROR about one of both (ICMP quotes it), or a NEIGHBOUR's (ARP, neighbour discovery).
"""

from __future__ import annotations

from netlab.evidence.records import Probe
from netlab.wire import packets
from netlab.wire.packets import Packet

QUESTION, ANSWER, ERROR, NEIGHBOUR = "question", "answer", "error", "neighbour"
TITLES = {QUESTION: "request", ANSWER: "reply", ERROR: "ICMP error"}  # as a reader sees them
_WINDOW = 1 << 20  # bytes of TCP that a traced connection may carry; a stranger's number falls into it once in 4,096
_ALL = (1 << 32) - 1

Identity = tuple[object, ...]


def identity(packet: Packet) -> Identity:
    """What stays the same on all of a packet's way."""
    one = packet.innermost
    if one.arp is not None:
        return NEIGHBOUR, one.arp.request, one.arp.asked, one.arp.asking
    if one.is_error:
        return ERROR, one.type, one.code, identity(one.about) if one.about else one.source
    if one.offset:
        return "part", one.protocol, one.ident, one.offset
    ident = one.ident if one.version == 4 else 0
    if one.protocol == packets.TCP:
        return packets.TCP, ident, one.seq, one.ack, one.flags, one.size
    if one.protocol == packets.UDP:
        return packets.UDP, ident, one.datagram, one.payload[:4]
    if one.protocol in (packets.ICMP, packets.ICMP6):
        return one.protocol, ident, one.type, one.code, one.echo[1], one.payload[:4]
    return one.protocol, ident, one.seq, one.type, one.size or one.length


def quoted(packet: Packet) -> Identity:
    """The part of an identity that eight bytes behind an IP header, all that an ICMP error must quote, still tell."""
    one = packet.innermost
    if one.protocol == packets.TCP:
        return packets.TCP, one.ident if one.version == 4 else 0, one.seq
    return one.protocol, one.ident, one.length


class Recogniser:
    """Tells the probe's packets from all others.  ``way`` must be asked in the order in which packets were seen."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._marker = probe.marker & _ALL
        self._bytes = self._marker.to_bytes(4, "big")
        self._asked: set[tuple[str, int, str, int]] = set()
        self._outer: dict[tuple[str, int, str, int], str] = {}
        self._parts: dict[tuple[int, int], str] = {}
        if probe.local and probe.local_port and probe.protocol != "ICMP":
            self._asked.add((probe.local, probe.local_port, probe.address, probe.port))

    def way(self, packet: Packet) -> str:
        """QUESTION, ANSWER, ERROR, NEIGHBOUR, or "" for a stranger's."""
        one = packet.innermost
        found = NEIGHBOUR if one.arp is not None else ERROR if self._quotes(one) else self._own(one)
        if found in (QUESTION, ANSWER):
            for layer in packet.layers:
                if layer.fragment or layer.ident:
                    self._parts[layer.protocol, layer.ident] = found
            if packet.inner is not None:
                self._outer[packet.ends] = found
        elif not found:
            # Only the first fragment has what tells it; the rest has its number.
            outermost = packet
            if outermost.offset:
                found = self._parts.get((outermost.protocol, outermost.ident), "")
        return found

    def outer(self, packet: Packet) -> str:
        """Whose tunnel a packet is that has its outer headers alone."""
        return self._outer.get(packet.ends, "")

    def _own(self, one: Packet) -> str:
        if one.offset:
            return ""
        if one.protocol == packets.TCP and self._probe.protocol == "TCP":
            return self._tcp(one)
        if one.protocol == packets.UDP and self._probe.protocol == "UDP":
            return self._udp(one)
        if one.is_echo and self._probe.protocol == "ICMP" and one.payload[:4] in (self._bytes, b""):
            if not one.payload and not self._known_echo(one):
                return ""
            self._asked.add((one.source, one.echo[0], one.target, one.echo[0]))
            return ANSWER if one.type == packets.ECHO_REPLY[one.protocol] else QUESTION
        return ""

    def _known_echo(self, one: Packet) -> bool:
        number = one.echo[0]
        ways = ((one.source, number, one.target, number), (one.target, number, one.source, number))
        return any(each in self._asked for each in ways)

    def _tcp(self, one: Packet) -> str:
        if (one.seq - self._marker) & _ALL < _WINDOW:
            self._asked.add(one.ends)
            return QUESTION
        if one.flags & packets.ACK and 0 < (one.ack - self._marker) & _ALL < _WINDOW:
            return ANSWER
        back = (one.target, one.dport, one.source, one.sport)
        return ANSWER if one.flags & packets.RST and back in self._asked else ""

    def _udp(self, one: Packet) -> str:
        marked = one.payload[:4] == self._bytes
        if self._comes_back(one) and one.ends not in self._asked:
            return ANSWER
        if marked or one.ends in self._asked:
            self._asked.add(one.ends)
            return QUESTION
        return ""

    def _comes_back(self, one: Packet) -> bool:
        """Whether it goes from one that was asked to one that has asked: of two translations one may be undone already."""
        senders = {ends[:2] for ends in self._asked}
        targets = {ends[2:] for ends in self._asked}
        return (one.target, one.dport) in senders and (one.source, one.sport) in targets

    def _quotes(self, one: Packet) -> bool:
        """Whether it is an ICMP error about one of the probe's packets, or about a tunnel that carried one."""
        if not one.is_error or one.about is None:
            return False
        about = one.about
        if self._own_quoted(about.innermost) or (about.inner is None and about.ends in self._outer):
            return True
        return any(layer.is_error is False and layer.ends in self._outer for layer in about.layers)

    def _own_quoted(self, about: Packet) -> bool:
        if self._probe.protocol == "TCP" and about.protocol == packets.TCP:
            back = (about.target, about.dport, about.source, about.sport)
            near = (about.seq - self._marker) & _ALL < _WINDOW
            return near or about.ends in self._asked or back in self._asked
        if self._probe.protocol == "UDP" and about.protocol == packets.UDP:
            back = (about.target, about.dport, about.source, about.sport)
            return about.payload[:4] == self._bytes or about.ends in self._asked or back in self._asked
        if self._probe.protocol == "ICMP" and about.protocol in (packets.ICMP, packets.ICMP6):
            return about.payload[:4] == self._bytes or (not about.payload and self._known_echo(about))
        return False
