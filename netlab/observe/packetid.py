"""The identity of the packet in a frame, as a number that is the same on every hop.

What routers and translators change is left out: Ethernet, TTL, addresses, ports, checksums, and everything that a tunnel
puts around.  What is left tells packets apart: IP's identification, the length, TCP's sequence numbers and flags, the
first bytes of another payload.  The number is a function of the bytes alone, so two captures agree on it.

Limits: 64 bits of a checksum, no proof.  Packets that are the same byte for byte have one number: an ARP request that
is repeated; over IPv6 an acknowledgement that is repeated.  A fragment has a number of its own.
"""

from __future__ import annotations

import struct
from zlib import crc32

from netlab.planes import udp_ports

#: UDP ports behind which a VXLAN or Geneve header stands: eight bytes, then a frame.
TUNNEL_PORTS = udp_ports()
_IPIP, _TCP, _UDP, _SCTP = 4, 6, 17, 132
_QUOTES = {1: frozenset((3, 4, 5, 11, 12)), 58: frozenset((1, 2, 3, 4))}  # the errors of ICMP and of ICMPv6
_VALID_VNI = 0x08
_GENEVE = b"\0\0\x65\x58"  # no options, no flags, Ethernet inside
_IPV4 = struct.Struct(">HHHBB")  # from byte 2 of the header: length, identification, fragment, TTL, protocol
_QUICK = struct.Struct(">HBxHHHxB12xH")  # from byte 12 of a frame: type, version and length, as _IPV4, target port
_PAYLOAD = 32  # bytes of it: enough to tell apart, little enough to be quick


def packet_id(data: bytes, ethernet: bool = True) -> int:
    """The number of the innermost packet of a frame (or of an IP packet, without ``ethernet``)."""
    at = 0
    size = len(data)
    length: int
    mark: int
    fragment: int
    if ethernet and size >= 50:  # what nearly every frame is, at a third of the time
        kind, version, length, mark, fragment, protocol, port = _QUICK.unpack_from(data, 12)
        if kind == 0x0800 and version == 0x45 and not fragment & 0x1FFF:
            if protocol == _TCP:
                return crc32(data[38:50]) << 32 | mark << 16 | length - 20 & 0xFFFF
            if protocol == _UDP and port not in TUNNEL_PORTS:
                return crc32(data[42:74], _UDP) << 32 | mark << 16 | length - 20 & 0xFFFF
    while True:
        if ethernet:
            if size < at + 34:
                return crc32(data[at + 12 :])
            kind = data[at + 12] << 8 | data[at + 13]
            at += 14
            if kind == 0x8100 and size >= at + 24:
                kind = data[at + 2] << 8 | data[at + 3]
                at += 4
        else:
            kind = 0x0800 if size > at and data[at] >> 4 == 4 else 0x86DD
        if kind == 0x0800 and size >= at + 20:
            length, mark, fragment, _, protocol = _IPV4.unpack_from(data, at + 2)
            head = (data[at] & 15) << 2
            at += head
            length = length - head & 0xFFFF
            if fragment & 0x1FFF:
                return fragment << 32 | mark << 16 | length
        elif kind == 0x86DD and size >= at + 40:
            length, mark, protocol = data[at + 4] << 8 | data[at + 5], 0, data[at + 6]
            at += 40
        else:
            return crc32(data[at : at + 28], kind) << 32 | kind
        if protocol == _TCP:
            # sequence and acknowledgement numbers, flags and window; not the options, which routers may clamp
            return crc32(data[at + 4 : at + 16]) << 32 | mark << 16 | length
        if protocol == _IPIP and size >= at + 20:
            ethernet = False
            continue
        if protocol == _UDP:
            if (
                size >= at + 50
                and (data[at + 2] << 8 | data[at + 3]) in TUNNEL_PORTS
                and (data[at + 8] & _VALID_VNI or data[at + 8 : at + 12] == _GENEVE)
            ):
                at += 16
                ethernet = True
                continue
            return crc32(data[at + 8 : at + 8 + _PAYLOAD], _UDP) << 32 | mark << 16 | length
        low = mark << 16 | length
        if size > at and data[at] in _QUOTES.get(protocol, ()):
            return crc32(data[at : at + 2], protocol) << 32 | low  # in what it quotes, translators change addresses too
        if protocol == _SCTP:
            return crc32(data[at + 12 : at + 12 + _PAYLOAD], crc32(data[at + 4 : at + 8])) << 32 | low
        return crc32(data[at + 4 : at + 4 + _PAYLOAD], protocol << 8 | data[at] if size > at else 0) << 32 | low
