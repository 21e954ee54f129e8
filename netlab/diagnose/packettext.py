"""Packets as text, short enough for a table row."""

from __future__ import annotations

from netlab.diagnose.annotate import end
from netlab.wire import packets
from netlab.wire.packets import Packet

_FLAGS = ((packets.SYN, "SYN"), (packets.FIN, "FIN"), (packets.RST, "RST"), (packets.PSH, "PSH"), (packets.ACK, "ACK"))
_UNREACHABLE = {
    0: "net unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "fragmentation needed",
    5: "source route failed",
    6: "net unknown",
    7: "host unknown",
    9: "net prohibited",
    10: "host prohibited",
    13: "administratively prohibited",
}
_UNREACHABLE6 = {
    0: "no route",
    1: "administratively prohibited",
    2: "beyond scope",
    3: "address unreachable",
    4: "port unreachable",
    5: "source address failed policy",
    6: "reject route",
}


def flags(packet: Packet) -> str:
    """``SYN-ACK``; ``segment`` without flags."""
    return "-".join(name for bit, name in _FLAGS if packet.flags & bit and name != "PSH") or "segment"


def icmp(packet: Packet) -> str:
    """``port unreachable``, ``echo request``, ``time exceeded``."""
    four = packet.protocol == packets.ICMP
    kind = packet.type
    if kind == (3 if four else 1):
        names = _UNREACHABLE if four else _UNREACHABLE6
        text = names.get(packet.code, f"unreachable (code {packet.code})")
        return f"{text}, MTU {packet.mtu}" if packet.mtu else text
    if not four and kind == 2:
        return f"packet too big, MTU {packet.mtu}"
    types = {8: "echo request", 0: "echo reply", 11: "time exceeded", 12: "parameter problem", 5: "redirect"}
    known6 = {128: "echo request", 129: "echo reply", 3: "time exceeded", 4: "parameter problem", 135: "solicitation"}
    known6 |= {130: "multicast query", 131: "multicast report", 132: "multicast done", 143: "multicast report"}
    known6 |= {133: "router solicitation", 134: "router advertisement", 137: "redirect"}
    return (types if four else known6).get(kind, f"type {kind}")


def _ends(packet: Packet) -> str:
    return f"{end(packet.source, packet.sport)} > {end(packet.target, packet.dport)}"


def _ttl(packet: Packet) -> str:
    return f"{'ttl' if packet.version == 4 else 'hlim'} {packet.hops}"


def kind(packet: Packet) -> str:
    """The packet's type in a word or two: ``SYN``, ``echo request``, ``UDP``."""
    if packet.arp is not None:
        return "ARP" if packet.version == 4 and packet.protocol == 0 else "ND"
    if packet.offset:
        return "fragment"
    if packet.protocol == packets.TCP:
        return flags(packet)
    if packet.protocol in (packets.ICMP, packets.ICMP6):
        return icmp(packet)
    return packets.NAMES.get(packet.protocol, f"protocol {packet.protocol}")


def shown(packet: Packet, *, ttl: bool = True) -> str:
    """The packet without its tunnel: ``SYN 10.244.1.2:40000 > 10.96.0.80:80 ttl 64``."""
    if packet.arp is not None:
        return _neighbour(packet)
    if not packet.version:
        return f"Ethernet type {packet.link.type:#06x}" if packet.link else "bytes that are no packet"
    words = [kind(packet), _ends(packet)]
    if packet.sealed:
        words.append(f"{packet.sealed},")
    elif packet.fragment:
        words.append(f"bytes {packet.offset} to {packet.offset + max(0, packet.size - 1)}")
    elif (
        packet.protocol in (packets.UDP, packets.ICMP, packets.ICMP6, packets.TCP)
        and packet.size
        and not packet.is_error
    ):
        words.append(f"{packet.size} bytes")
    if ttl:
        words.append(_ttl(packet))
    return " ".join(words)


def about(packet: Packet) -> str:
    """The packet that an ICMP error quotes."""
    return f"about {shown(packet.about.innermost, ttl=False)}" if packet.about is not None else ""


def outer(packet: Packet) -> str:
    """The tunnel around a packet: ``VXLAN 1  172.18.0.2 > 172.18.0.3 port 4789 ttl 64``."""
    if not packet.tunnel:
        return shown(packet)
    name = packet.tunnel if packet.vni is None else f"{packet.tunnel} {packet.vni}"
    port = f" port {packet.dport}" if packet.ports else ""
    return f"{name} {packet.source} > {packet.target}{port} {_ttl(packet)}"


def _neighbour(packet: Packet) -> str:
    arp = packet.arp
    assert arp is not None
    if arp.request:
        teller = arp.asking or packet.source
        return f"{kind(packet)} who has {arp.asked}? says {teller}"
    return f"{kind(packet)} {arp.asked} is at {arp.mac or '?'}"
