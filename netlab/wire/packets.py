"""A packet's bytes as values: Ethernet, ARP, IPv4, IPv6, TCP, UDP, SCTP, ICMP, ICMPv6, VXLAN, and what is inside.

Theory of operation
-------------------
``frame`` reads from the link-layer header on, ``network`` from the IP header on.  Both give a ``Packet``; what it carries
hangs on it: ``inner`` is the frame inside VXLAN, ``about`` the packet that an ICMP error quotes.  ``innermost`` is what
the sender sent.  Bytes are cut (captures keep the beginning) or hostile; whatever cannot be read is left out, and
nothing here raises.

VXLAN is known by its header (RFC 7348: the flags are 0x08 and all reserved bits zero, and an Ethernet frame follows that
makes sense), not by its port: 4789 is IANA's, 8472 flannel's, 6784 Weave's, and a lab may have any.

Limits: options of IPv4 and TCP are skipped; of IPv6's extension headers the lengths and the fragment header are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

ARP_TYPE, IPV4_TYPE, IPV6_TYPE, VLAN_TYPE, QINQ_TYPE = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88A8
ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
NAMES = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP", ICMP6: "ICMPv6", SCTP: "SCTP", 2: "IGMP"}
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ECHO_REQUEST, ECHO_REPLY = {ICMP: 8, ICMP6: 128}, {ICMP: 0, ICMP6: 129}
SOLICIT, ADVERTISE = 135, 136  # neighbour discovery, RFC 4861
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))  # hop-by-hop, routing, destination options, mobility, HIP, shim6
_FRAGMENT, _AUTH = 44, 51
_DEEPEST = 4  # packets in packets that are read
_MAX_EXTENSIONS = 16


class Link(NamedTuple):
    """An Ethernet header; ``vlan`` is None where there is no tag."""

    source: str
    target: str
    type: int
    vlan: int | None = None


class Arp(NamedTuple):
    """ARP, or ICMPv6 neighbour discovery said the same way: who has ``asked``?  ``asked`` is at ``mac``.

    ``asking`` is the sender's address of a request; of an answer it is the one that answers.
    """

    request: bool
    asked: str
    asking: str
    mac: str


@dataclass(frozen=True, slots=True)
class Packet:
    """What was read of a packet; parts that it has not, or that were cut off, are None, "" or 0.

    ``length`` is what the IP header says of the whole, ``hops`` TTL or hop limit, ``ident`` IPv4's identification or the
    one of IPv6's fragment header; ``offset`` and ``more`` are a fragment's.  ``ports`` is whether ``sport`` and ``dport``
    could be read.  ``type`` and ``code`` are ICMP's, ``mtu`` that of packet-too-big, ``echo`` (id, sequence) of a ping.
    ``size``: bytes of payload by the headers, ``payload`` those that were captured; ``datagram`` what UDP's
    own header says, which the first fragment has for all.  ``partial``: the headers end early.
    """

    link: Link | None = None
    arp: Arp | None = None
    version: int = 0
    source: str = ""
    target: str = ""
    protocol: int = 0
    hops: int = 0
    ident: int = 0
    length: int = 0
    df: bool = False
    more: bool = False
    offset: int = 0
    ports: bool = False
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    type: int = 0
    code: int = 0
    mtu: int = 0
    echo: tuple[int, int] = (0, 0)
    size: int = 0
    datagram: int = 0
    payload: bytes = field(default=b"", repr=False)
    vni: int | None = None
    inner: Packet | None = None
    about: Packet | None = None
    partial: bool = False

    @property
    def innermost(self) -> Packet:
        """What the sender sent, without the tunnels around it."""
        found = self
        while found.inner is not None:
            found = found.inner
        return found

    @property
    def layers(self) -> Iterator[Packet]:
        """The packet, and those inside of it, from the outside in."""
        found: Packet | None = self
        while found is not None:
            yield found
            found = found.inner

    @property
    def fragment(self) -> bool:
        """Whether it is a part of a packet that was cut on its way."""
        return self.more or self.offset > 0

    @property
    def is_error(self) -> bool:
        """Whether it is an ICMP error, which quotes what it is about."""
        return (self.protocol == ICMP and self.type in (3, 5, 11, 12)) or (self.protocol == ICMP6 and 0 < self.type < 5)

    @property
    def is_echo(self) -> bool:
        """Whether it is a ping or its answer."""
        known = (ECHO_REQUEST.get(self.protocol), ECHO_REPLY.get(self.protocol))
        return self.protocol in (ICMP, ICMP6) and not self.partial and self.type in known

    @property
    def ends(self) -> tuple[str, int, str, int]:
        """Source and target with their ports (0 where there are none)."""
        return self.source, self.sport, self.target, self.dport


def frame(data: bytes) -> Packet:
    """The packet in a frame."""
    return _frame(bytes(data), 0)


def network(data: bytes, link: bytes = b"", protocol: int = 0) -> Packet:
    """The packet whose IP header comes first; ``link`` is the frame's header where it is known."""
    if protocol == ARP_TYPE or (link and _word(link, 12) == ARP_TYPE):
        return _arp(data, _link(link)[0])
    return _ip(bytes(data), _link(bytes(link))[0] if len(link) >= 14 else None, 0)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _long(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def mac(data: bytes) -> str:
    """``0a:01:00:01:00:00``."""
    return data.hex(":")


def _link(data: bytes) -> tuple[Link | None, int]:
    """The link-layer header and where it ends."""
    if len(data) < 14:
        return None, 0
    kind, at, vlan = _word(data, 12), 14, None
    while kind in (VLAN_TYPE, QINQ_TYPE) and len(data) >= at + 4:
        vlan = _word(data, at) & 0xFFF if vlan is None else vlan
        kind, at = _word(data, at + 2), at + 4
    return Link(mac(data[6:12]), mac(data[:6]), kind, vlan), at


def _frame(data: bytes, depth: int) -> Packet:
    link, at = _link(data)
    if link is None:
        return Packet(partial=True)
    rest = data[at:]
    if link.type == ARP_TYPE:
        return _arp(rest, link)
    if link.type in (IPV4_TYPE, IPV6_TYPE):
        return _ip(rest, link, depth)
    return Packet(link)


def _arp(data: bytes, link: Link | None) -> Packet:
    # Ethernet and IPv4 only: hardware type 1, protocol 0x0800, lengths 6 and 4.
    if len(data) < 28 or data[:6] != b"\0\1\x08\0\6\4":
        return Packet(link, partial=True)
    request = _word(data, 6) == 1
    sender, wanted = str(IPv4Address(data[14:18])), str(IPv4Address(data[24:28]))
    asked, asking = (wanted, sender) if request else (sender, sender)
    found = Arp(request, asked, asking, mac(data[8:14]))
    return Packet(link, found, 4, source=sender, target=wanted)


def _ip(data: bytes, link: Link | None, depth: int) -> Packet:
    if not data:
        return Packet(link, partial=True)
    version = data[0] >> 4
    if version == 4:
        return _ipv4(data, link, depth)
    return _ipv6(data, link, depth) if version == 6 else Packet(link, partial=True)


def _ipv4(data: bytes, link: Link | None, depth: int) -> Packet:
    head = (data[0] & 15) * 4
    if len(data) < 20 or head < 20:
        return Packet(link, version=4, partial=True)
    bits = _word(data, 6)
    length = _word(data, 2)
    known: dict[str, Any] = {
        "link": link,
        "version": 4,
        "source": str(IPv4Address(data[12:16])),
        "target": str(IPv4Address(data[16:20])),
        "protocol": data[9],
        "hops": data[8],
        "ident": _word(data, 4),
        "length": length,
        "df": bool(bits & 0x4000),
        "more": bool(bits & 0x2000),
        "offset": (bits & 0x1FFF) * 8,
    }
    # A length of 0 is what segmentation offload leaves in captures of more than 64 kB.
    whole = max(0, length - head) if length else max(0, len(data) - head)
    return _transport(known, data[head : head + whole], whole, depth)


def _ipv6(data: bytes, link: Link | None, depth: int) -> Packet:
    if len(data) < 40:
        return Packet(link, version=6, partial=True)
    whole = _word(data, 4)
    known: dict[str, Any] = {
        "link": link,
        "version": 6,
        "source": str(IPv6Address(data[8:24])),
        "target": str(IPv6Address(data[24:40])),
        "hops": data[7],
        "length": whole + 40,
        "df": True,  # routers never fragment IPv6
    }
    kind, at = data[6], 40
    for _ in range(_MAX_EXTENSIONS):
        if kind in _EXTENSIONS and len(data) >= at + 8:
            kind, at = data[at], at + 8 * (1 + data[at + 1])
        elif kind == _AUTH and len(data) >= at + 8:
            kind, at = data[at], at + 4 * (2 + data[at + 1])
        elif kind == _FRAGMENT and len(data) >= at + 8:
            bits = _word(data, at + 2)
            known |= {"offset": bits & 0xFFF8, "more": bool(bits & 1), "ident": _long(data, at + 4)}
            kind, at = data[at], at + 8
        else:
            break
    whole = max(0, whole - (at - 40))
    return _transport(known | {"protocol": kind}, data[at : at + whole], whole, depth)


def _transport(known: dict[str, Any], data: bytes, whole: int, depth: int) -> Packet:
    """The packet with what follows its IP header: ``whole`` bytes, of which ``data`` were captured."""
    if known.get("offset"):
        return Packet(**known, size=whole, payload=data)
    reader = _READERS.get(known["protocol"])
    more = reader(data, whole, depth) if reader else {"size": whole, "payload": data}
    return Packet(**known, **more)


def _tcp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    if len(data) < 8:
        return _ports_only(data)
    found: dict[str, Any] = {**_ports_only(data), "seq": _long(data, 4), "partial": len(data) < 14}
    if len(data) >= 14:
        head = max(20, (data[12] >> 4) * 4)
        size = max(0, whole - head)
        found |= {"ack": _long(data, 8), "flags": data[13], "size": size, "payload": data[head : head + size]}
    return found


def _ports_only(data: bytes) -> dict[str, Any]:
    if len(data) < 4:
        return {"partial": True}
    return {"ports": True, "sport": _word(data, 0), "dport": _word(data, 2), "partial": True}


def _udp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    found = _ports_only(data)
    if len(data) < 8:
        return found
    payload = data[8:]
    found |= {"size": max(0, whole - 8), "payload": payload, "datagram": _word(data, 4), "partial": False}
    if depth < _DEEPEST and _is_vxlan(payload):
        found |= {"vni": int.from_bytes(payload[4:7], "big"), "inner": _frame(payload[8:], depth + 1)}
    return found


def _is_vxlan(payload: bytes) -> bool:
    """Whether a VXLAN header and an Ethernet frame of a protocol that is known begin here."""
    if len(payload) < 22 or payload[:4] != b"\x08\0\0\0" or payload[7]:
        return False
    return _word(payload, 20) in (ARP_TYPE, IPV4_TYPE, IPV6_TYPE, VLAN_TYPE)


def _sctp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    found = _ports_only(data)
    if len(data) < 12:
        return found
    # The verification tag stands for a sequence number: ports change under NAT, tags do not.
    found |= {"seq": _long(data, 4), "size": max(0, whole - 12), "payload": data[12:], "partial": False}
    found["type"] = data[12] if len(data) > 12 else 0
    return found


def _icmp_head(data: bytes, whole: int) -> dict[str, Any]:
    """What ICMP of both families begins with."""
    if len(data) < 8:
        return {"partial": True}
    echo = (_word(data, 4), _word(data, 6))
    return {"type": data[0], "code": data[1], "echo": echo, "size": max(0, whole - 8), "payload": data[8:]}


def _icmp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    found = _icmp_head(data, whole)
    if len(data) < 8:
        return found
    if data[0] in (3, 5, 11, 12) and depth < _DEEPEST:
        found |= {"about": _ip(data[8:], None, depth + 1), "mtu": _word(data, 6) if data[:2] == b"\3\4" else 0}
    return found


def _icmp6(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    found = _icmp_head(data, whole)
    if len(data) < 8:
        return found
    if 0 < data[0] < 5 and depth < _DEEPEST:
        found |= {"about": _ip(data[8:], None, depth + 1), "mtu": _long(data, 4) if data[0] == 2 else 0}
    if data[0] in (SOLICIT, ADVERTISE) and len(data) >= 24:
        asked = str(IPv6Address(data[8:24]))
        own = data[26:32] if len(data) >= 32 and data[24:26] in (b"\1\1", b"\2\1") else b""
        request = data[0] == SOLICIT
        found["arp"] = Arp(request, asked, "" if request else asked, mac(own) if own else "")
    return found


_READERS = {TCP: _tcp, UDP: _udp, SCTP: _sctp, ICMP: _icmp, ICMP6: _icmp6}
