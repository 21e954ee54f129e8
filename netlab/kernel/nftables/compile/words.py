"""A rule's or an element's text as words, and what several files need to say."""

from __future__ import annotations

import re
import socket
import struct

from netlab.kernel.rtnetlink.socket import attr

NESTED = 0x8000
FAMILIES = {"inet": 1, "ip": 2, "ip6": 10}
NFPROTO = {"ip": 2, "ip6": 10}
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "icmpv6": 58}
_WORDS = re.compile(r'"[^"]*"|[{},]|[^\s{},"]+')


class NotKnown(Exception):
    """Words that only the library understands."""


def split(text: str) -> list[str]:
    """The words of a text; quoted ones keep their quotes."""
    return _WORDS.findall(text)


def be32(kind: int, value: int) -> bytes:
    """An attribute that holds a 32-bit number in network order, as nf_tables has all numbers."""
    return struct.pack("=HH", 8, kind) + struct.pack(">I", value)


def nest(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attr(kind | NESTED, b"".join(parts))


def note(kind: int, value: bytes) -> bytes:
    """One of nft's own notes, which the kernel keeps without looking."""
    return bytes((kind, len(value))) + value


def comment(quoted: str) -> bytes:
    """A comment's note; of tables, chains, rules and elements it is the first kind."""
    return note(0, quoted.strip('"').encode() + b"\0")


def address(text: str, version: int) -> bytes:
    """An address of a family (4 or 6)."""
    try:
        return socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, text)
    except OSError:
        raise NotKnown(text) from None


def number(text: str, size: int) -> bytes:
    """A decimal number in some bytes, in network order."""
    if not text.isdigit():
        raise NotKnown(text)
    try:
        return int(text).to_bytes(size, "big")
    except OverflowError:
        raise NotKnown(text) from None
