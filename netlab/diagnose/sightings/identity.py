"""Recognise a packet across hops, under translated addresses, inside and outside of tunnels.

NAT changes addresses and ports, routers change the TTL, tunnels add headers.  ``identity`` is the part that stays: of
the innermost packet the protocol, IPv4's identification, sequence and acknowledgement numbers, flags, and length.  A
fragmented datagram is identified by its first fragment, also after connection tracking reassembles it.  So UDP is
identified by the length in its own header, and a ping by its first bytes.  A TCP retransmission has a new IPv4
identification, so each attempt is a packet of its own.  IPv6 has none: there the packet's second transmission at its
first interface is a new attempt.

``Recogniser`` gives a packet's role.  REQUEST: it has the probe's marker, which is TCP's first sequence number or the
first bytes of the payload.  REPLY: it acknowledges that number, or goes the other way between the same ends.  ERROR:
an ICMP error quotes one of both.  NEIGHBOUR: ARP or neighbour discovery.
"""

from __future__ import annotations

from netlab.evidence.records import Probe
from netlab.wire import packets
from netlab.wire.packets import Packet

REQUEST, REPLY, ERROR, NEIGHBOUR = "question", "answer", "error", "neighbour"
TITLES = {REQUEST: "request", REPLY: "reply", ERROR: "ICMP error"}  # in text
_WINDOW = 1 << 20  # bytes of a traced connection; an unrelated number is inside with a chance of 1 in 4,096
_ALL = (1 << 32) - 1

Identity = tuple[object, ...]


def identity(packet: Packet) -> Identity:
    """The part of a packet that stays the same on its whole path."""
    inner = packet.innermost
    if inner.arp is not None:
        return NEIGHBOUR, inner.arp.request, inner.arp.asked, inner.arp.asking
    if inner.is_error:
        return ERROR, inner.type, inner.code, identity(inner.about) if inner.about else inner.source
    if inner.offset:
        return "part", inner.protocol, inner.ident, inner.offset
    ident = inner.ident if inner.version == 4 else 0
    if inner.protocol == packets.TCP:
        return packets.TCP, ident, inner.seq, inner.ack, inner.flags, inner.size
    if inner.protocol == packets.UDP:
        return packets.UDP, ident, inner.datagram, inner.payload[:4]
    if inner.protocol in (packets.ICMP, packets.ICMP6):
        return inner.protocol, ident, inner.type, inner.code, inner.echo[1], inner.payload[:4]
    return inner.protocol, ident, inner.seq, inner.type, inner.size or inner.length


def quoted(packet: Packet) -> Identity:
    """The part of an identity that an ICMP error must quote: the IP header and eight bytes."""
    inner = packet.innermost
    if inner.protocol == packets.TCP:
        return packets.TCP, inner.ident if inner.version == 4 else 0, inner.seq
    return inner.protocol, inner.ident, inner.length


class Recogniser:
    """Gives the roles of packets.  ``role`` must be called in the order of the sightings."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._marker = probe.marker & _ALL
        self._bytes = self._marker.to_bytes(4, "big")
        self._asked: set[tuple[str, int, str, int]] = set()
        self._outer: dict[tuple[str, int, str, int], str] = {}
        self._parts: dict[tuple[int, int], str] = {}
        if probe.local and probe.local_port and probe.protocol != "ICMP":
            self._asked.add((probe.local, probe.local_port, probe.address, probe.port))

    def role(self, packet: Packet) -> str:
        """REQUEST, REPLY, ERROR, NEIGHBOUR, or "" for an unrelated packet."""
        inner = packet.innermost
        role = NEIGHBOUR if inner.arp is not None else ERROR if self._quotes(inner) else self._own(inner)
        if role in (REQUEST, REPLY):
            for layer in packet.layers:
                if layer.fragment or layer.ident:
                    self._parts[layer.protocol, layer.ident] = role
            if packet.inner is not None:
                self._outer[packet.ends] = role
        elif not role:
            # Only the first fragment has the marker; later fragments have its identification.
            outermost = packet
            if outermost.offset:
                role = self._parts.get((outermost.protocol, outermost.ident), "")
        return role

    def outer(self, packet: Packet) -> str:
        """The role of a tunnel packet of which only the outer headers are known."""
        return self._outer.get(packet.ends, "")

    def _own(self, packet: Packet) -> str:
        if packet.offset:
            return ""
        if packet.protocol == packets.TCP and self._probe.protocol == "TCP":
            return self._tcp(packet)
        if packet.protocol == packets.UDP and self._probe.protocol == "UDP":
            return self._udp(packet)
        if packet.is_echo and self._probe.protocol == "ICMP" and packet.payload[:4] in (self._bytes, b""):
            if not packet.payload and not self._known_echo(packet):
                return ""
            self._asked.add((packet.source, packet.echo[0], packet.target, packet.echo[0]))
            return REPLY if packet.type == packets.ECHO_REPLY[packet.protocol] else REQUEST
        return ""

    def _known_echo(self, packet: Packet) -> bool:
        number = packet.echo[0]
        directions = ((packet.source, number, packet.target, number), (packet.target, number, packet.source, number))
        return any(each in self._asked for each in directions)

    def _tcp(self, packet: Packet) -> str:
        if (packet.seq - self._marker) & _ALL < _WINDOW:
            self._asked.add(packet.ends)
            return REQUEST
        if packet.flags & packets.ACK and 0 < (packet.ack - self._marker) & _ALL < _WINDOW:
            return REPLY
        back = (packet.target, packet.dport, packet.source, packet.sport)
        return REPLY if packet.flags & packets.RST and back in self._asked else ""

    def _udp(self, packet: Packet) -> str:
        marked = packet.payload[:4] == self._bytes
        if self._comes_back(packet) and packet.ends not in self._asked:
            return REPLY
        if marked or packet.ends in self._asked:
            self._asked.add(packet.ends)
            return REQUEST
        return ""

    def _comes_back(self, packet: Packet) -> bool:
        """Whether it goes from a request's target to its sender; one of two translations may be undone already."""
        senders = {ends[:2] for ends in self._asked}
        targets = {ends[2:] for ends in self._asked}
        return (packet.target, packet.dport) in senders and (packet.source, packet.sport) in targets

    def _quotes(self, packet: Packet) -> bool:
        """Whether it is an ICMP error about the probe's packets or about a tunnel packet that carries them."""
        if not packet.is_error or packet.about is None:
            return False
        about = packet.about
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
