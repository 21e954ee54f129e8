"""Addresses, numbers and the frame of a link's message, as bytes.  Numbers are those of linux/if_link.h and rtnetlink.h."""

from __future__ import annotations

import socket
import struct

from netlab.kernel.rtnetlink.socket import attr, attr_str

NEWLINK, SETLINK = 16, 19
IFLA_LINKINFO = 18
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
NESTED = 0x8000  # NLA_F_NESTED: newer request types insist on it
IFF_UP = 1
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
SCOPE_NAMES = {number: name for name, number in SCOPES.items()}
FAMILIES = (socket.AF_INET, socket.AF_INET6)


def ifinfo(index: int = 0, up: bool | None = None) -> bytes:
    """struct ifinfomsg; ``up`` None leaves the flags as they are."""
    return struct.pack("=BxHiII", 0, 0, index, IFF_UP if up else 0, 0 if up is None else IFF_UP)


def link_info(index: int, kind: str, data: bytes, *, port: bool = False) -> tuple[int, int, bytes]:
    """Set attributes of a link's kind, or where ``port``, those that its bridge adds."""
    numbers = (INFO_SLAVE_KIND, INFO_SLAVE_DATA) if port else (INFO_KIND, INFO_DATA)
    return NEWLINK, 0, ifinfo(index) + attr(IFLA_LINKINFO, attr_str(numbers[0], kind) + attr(numbers[1], data))


def mac_bytes(mac: str) -> bytes:
    """A MAC address as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def packed(address: str) -> bytes:
    """An IPv4 or IPv6 address as bytes in network order."""
    return socket.inet_pton(family(address), address)


def family(address: str) -> int:
    """AF_INET or AF_INET6 of an address or CIDR."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def address_text(raw: bytes | memoryview) -> str:
    """Bytes in network order as an address."""
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, bytes(raw))


def u32(value: bytes | memoryview) -> int:
    """A number of 32 bits in host order."""
    number: int = struct.unpack("=I", value)[0]
    return number
