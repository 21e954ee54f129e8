"""Decode packets: Ethernet, ARP, IPv4, IPv6, TCP, UDP, SCTP, ICMP, ICMPv6, and what is inside VXLAN, Geneve and IPIP.

Theory of operation
-------------------
``frame`` starts at the link-layer header, ``network`` at the IP header.  Both return a ``Packet``.  Its ``inner`` is the
frame or packet inside a tunnel's, its ``about`` the packet that an ICMP error quotes, and ``innermost`` the packet that the sender sent.
The bytes may be truncated (captures keep the beginning) or hostile.  Unreadable fields are left out; no function raises.

VXLAN is recognised by its header, not by its port: 4789 is IANA's, 8472 flannel's, 6784 Weave's, and a lab may have any.
RFC 7348 sets the flags to 0x08 and the reserved bits to zero; a plausible Ethernet frame must follow.  Geneve (RFC 8926)
is recognised by its port, since its header may be all zeros but for the protocol.  Of WireGuard's packets only the
header can be read, which is recognised by the ports.

Limits: IPv4 and TCP options are skipped.  Of IPv6 extension headers, only the lengths and the fragment header are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from netlab.tuples import NamedTuple
from netlab.values import dataclass

ARP_TYPE, IPV4_TYPE, IPV6_TYPE, VLAN_TYPE, QINQ_TYPE = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88A8
ICMP, IPIP, TCP, UDP, ICMP6, SCTP = 1, 4, 6, 17, 58, 132
NAMES = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP", ICMP6: "ICMPv6", SCTP: "SCTP", 2: "IGMP", IPIP: "IPIP"}
GENEVE_PORT = 6081
_TRANSPARENT_ETHERNET = 0x6558  # the protocol in Geneve's header whose payload is an Ethernet frame
_WIREGUARD_PORTS = frozenset((51820, 51821))
_WIREGUARD = {1: ("handshake initiation", 148), 2: ("handshake response", 92), 3: ("cookie", 64), 4: ("data", 32)}
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ECHO_REQUEST, ECHO_REPLY = {ICMP: 8, ICMP6: 128}, {ICMP: 0, ICMP6: 129}
SOLICIT, ADVERTISE = 135, 136  # neighbour discovery, RFC 4861
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))  # hop-by-hop, routing, destination options, mobility, HIP, shim6
_FRAGMENT, _AUTH = 44, 51
_DEEPEST = 4  # levels of encapsulation that are decoded
_MAX_EXTENSIONS = 16


class Link(NamedTuple):
    """An Ethernet header; ``vlan`` is None where there is no tag."""

    source: str
    target: str
    type: int
    vlan: int | None = None


class Arp(NamedTuple):
    """ARP, or ICMPv6 neighbour discovery in the same form.

    ``asked`` is the address to resolve and ``mac`` the sender's MAC.  ``asking`` is the sender's address: in a request
    the node that resolves, in a reply the node that has the address.
    """

    request: bool
    asked: str
    asking: str
    mac: str


@dataclass(frozen=True, slots=True)
class Packet:
    """A decoded packet; absent or truncated fields are None, "" or 0.

    ``length`` is the total length in the IP header, ``hops`` the TTL or hop limit, and ``ident`` the identification of
    IPv4 or of IPv6's fragment header.  ``offset`` and ``more`` belong to a fragment.  ``ports`` tells whether ``sport``
    and ``dport`` were readable.  ``type`` and ``code`` are ICMP's, ``mtu`` is from packet-too-big, and ``echo`` is a
    ping's (id, sequence).  ``size`` counts the payload's bytes by the headers; ``payload`` holds the captured bytes.
    ``datagram`` is the length in the UDP header, which the first fragment has for all.  ``tunnel`` names the encapsulation
    of ``inner``.  ``sealed`` tells what can be read of an encrypted packet.  ``partial``: truncated headers.
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
    tunnel: str = ""
    sealed: str = ""
    inner: Packet | None = None
    about: Packet | None = None
    partial: bool = False

    @property
    def overhead(self) -> int:
        """The bytes that a tunnel's headers add: the outer IP header, those behind it, the inner Ethernet header."""
        return (20 if self.version == 4 else 40) + (0 if self.tunnel == "IPIP" else 8 + 8 + 14)

    @property
    def innermost(self) -> Packet:
        """The packet that the sender sent, without tunnel headers."""
        packet = self
        while packet.inner is not None:
            packet = packet.inner
        return packet

    @property
    def layers(self) -> Iterator[Packet]:
        """The packet and its encapsulated packets, outermost first."""
        layer: Packet | None = self
        while layer is not None:
            yield layer
            layer = layer.inner

    @property
    def fragment(self) -> bool:
        """Whether it is an IP fragment."""
        return self.more or self.offset > 0

    @property
    def is_error(self) -> bool:
        """Whether it is an ICMP error, which quotes another packet."""
        return (self.protocol == ICMP and self.type in (3, 5, 11, 12)) or (self.protocol == ICMP6 and 0 < self.type < 5)

    @property
    def is_echo(self) -> bool:
        """Whether it is an ICMP echo request or reply."""
        types = (ECHO_REQUEST.get(self.protocol), ECHO_REPLY.get(self.protocol))
        return self.protocol in (ICMP, ICMP6) and not self.partial and self.type in types

    @property
    def ends(self) -> tuple[str, int, str, int]:
        """Source and target with their ports (0 without ports)."""
        return self.source, self.sport, self.target, self.dport


def read(data: bytes, *, bare: bool) -> Packet:
    """Decode a frame, or where ``bare`` a packet that starts at its IP header."""
    return network(data) if bare else frame(data)


def frame(data: bytes) -> Packet:
    """Decode a frame."""
    return _frame(bytes(data), 0)


def network(data: bytes, link: bytes = b"", protocol: int = 0) -> Packet:
    """Decode data that starts with the IP header; ``link`` is the frame's header, if known."""
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
    """The link-layer header and its length."""
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
    arp = Arp(request, asked, asking, mac(data[8:14]))
    return Packet(link, arp, 4, source=sender, target=wanted)


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
    fields: dict[str, Any] = {
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
    # Segmentation offload leaves a length of 0 in captures of more than 64 kB.
    whole = max(0, length - head) if length else max(0, len(data) - head)
    return _transport(fields, data[head : head + whole], whole, depth)


def _ipv6(data: bytes, link: Link | None, depth: int) -> Packet:
    if len(data) < 40:
        return Packet(link, version=6, partial=True)
    whole = _word(data, 4)
    fields: dict[str, Any] = {
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
            fields |= {"offset": bits & 0xFFF8, "more": bool(bits & 1), "ident": _long(data, at + 4)}
            kind, at = data[at], at + 8
        else:
            break
    whole = max(0, whole - (at - 40))
    return _transport(fields | {"protocol": kind}, data[at : at + whole], whole, depth)


def _transport(fields: dict[str, Any], data: bytes, whole: int, depth: int) -> Packet:
    """Decode the IP payload: ``whole`` bytes, of which ``data`` were captured."""
    if fields.get("offset"):
        return Packet(**fields, size=whole, payload=data)
    reader = _READERS.get(fields["protocol"])
    more = reader(data, whole, depth) if reader else {"size": whole, "payload": data}
    return Packet(**fields, **more)


def _tcp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    if len(data) < 8:
        return _ports_only(data)
    fields: dict[str, Any] = {**_ports_only(data), "seq": _long(data, 4), "partial": len(data) < 14}
    if len(data) >= 14:
        head = max(20, (data[12] >> 4) * 4)
        size = max(0, whole - head)
        fields |= {"ack": _long(data, 8), "flags": data[13], "size": size, "payload": data[head : head + size]}
    return fields


def _ports_only(data: bytes) -> dict[str, Any]:
    if len(data) < 4:
        return {"partial": True}
    return {"ports": True, "sport": _word(data, 0), "dport": _word(data, 2), "partial": True}


def _udp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    fields = _ports_only(data)
    if len(data) < 8:
        return fields
    payload = data[8:]
    fields |= {"size": max(0, whole - 8), "payload": payload, "datagram": _word(data, 4), "partial": False}
    if depth < _DEEPEST and _is_vxlan(payload):
        fields |= {
            "tunnel": "VXLAN",
            "vni": int.from_bytes(payload[4:7], "big"),
            "inner": _frame(payload[8:], depth + 1),
        }
    elif depth < _DEEPEST and fields["dport"] == GENEVE_PORT:
        fields |= _geneve(payload, depth)
    elif _WIREGUARD_PORTS & {fields["sport"], fields["dport"]}:
        fields["sealed"] = _wireguard(payload, fields["size"])
    return fields


def _geneve(payload: bytes, depth: int) -> dict[str, Any]:
    """The inner frame behind a Geneve header of version 0 and its options."""
    if len(payload) < 8 or payload[0] >> 6:
        return {}
    vni, at, protocol = int.from_bytes(payload[4:7], "big"), 8 + 4 * (payload[0] & 0x3F), _word(payload, 2)
    fields: dict[str, Any] = {"tunnel": "Geneve", "vni": vni}
    if protocol == _TRANSPARENT_ETHERNET:
        return fields | {"inner": _frame(payload[at:], depth + 1)}
    if protocol in (IPV4_TYPE, IPV6_TYPE):
        return fields | {"inner": _ip(payload[at:], None, depth + 1)}
    return {}


def _wireguard(payload: bytes, size: int) -> str:
    """The kind of a WireGuard packet, and of data the receiver's index, the counter, and the encrypted bytes."""
    kind, length = _WIREGUARD.get(payload[0] if payload[1:4] == bytes(3) else 0, ("", 0))
    if kind != "data":
        return f"WireGuard {kind}" if kind and size == length else ""
    if size < length or len(payload) < 16:
        return ""
    receiver, counter = int.from_bytes(payload[4:8], "little"), int.from_bytes(payload[8:16], "little")
    return f"WireGuard data, receiver {receiver:#010x}, counter {counter}, {size - length} bytes encrypted"


def _ipip(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"size": whole, "payload": data}
    if depth < _DEEPEST and len(data) >= 20 and data[0] >> 4 == 4:
        fields |= {"tunnel": "IPIP", "inner": _ip(data, None, depth + 1)}
    return fields


def _is_vxlan(payload: bytes) -> bool:
    """Whether a VXLAN header and an Ethernet frame of a known protocol start here."""
    if len(payload) < 22 or payload[:4] != b"\x08\0\0\0" or payload[7]:
        return False
    return _word(payload, 20) in (ARP_TYPE, IPV4_TYPE, IPV6_TYPE, VLAN_TYPE)


def _sctp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    fields = _ports_only(data)
    if len(data) < 12:
        return fields
    # The verification tag serves as the sequence number: NAT changes ports and not tags.
    fields |= {"seq": _long(data, 4), "size": max(0, whole - 12), "payload": data[12:], "partial": False}
    fields["type"] = data[12] if len(data) > 12 else 0
    return fields


def _icmp_head(data: bytes, whole: int) -> dict[str, Any]:
    """The fields that ICMP and ICMPv6 share."""
    if len(data) < 8:
        return {"partial": True}
    echo = (_word(data, 4), _word(data, 6))
    return {"type": data[0], "code": data[1], "echo": echo, "size": max(0, whole - 8), "payload": data[8:]}


def _icmp(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    fields = _icmp_head(data, whole)
    if len(data) < 8:
        return fields
    if data[0] in (3, 5, 11, 12) and depth < _DEEPEST:
        fields |= {"about": _ip(data[8:], None, depth + 1), "mtu": _word(data, 6) if data[:2] == b"\3\4" else 0}
    return fields


def _icmp6(data: bytes, whole: int, depth: int) -> dict[str, Any]:
    fields = _icmp_head(data, whole)
    if len(data) < 8:
        return fields
    if 0 < data[0] < 5 and depth < _DEEPEST:
        fields |= {"about": _ip(data[8:], None, depth + 1), "mtu": _long(data, 4) if data[0] == 2 else 0}
    if data[0] in (SOLICIT, ADVERTISE) and len(data) >= 24:
        asked = str(IPv6Address(data[8:24]))
        own = data[26:32] if len(data) >= 32 and data[24:26] in (b"\1\1", b"\2\1") else b""
        request = data[0] == SOLICIT
        fields["arp"] = Arp(request, asked, "" if request else asked, mac(own) if own else "")
    return fields


_READERS = {IPIP: _ipip, TCP: _tcp, UDP: _udp, SCTP: _sctp, ICMP: _icmp, ICMP6: _icmp6}
