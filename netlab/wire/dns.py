"""DNS messages: the question for a name's addresses or for a server's own name, and what a reply says."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from netlab.tuples import NamedTuple

PORT = 53
A, TXT, AAAA = 1, 16, 28
TYPES = {"A": A, "AAAA": AAAA}
OK, SERVER_FAILED, NO_NAME, REFUSED = 0, 2, 3, 5
_ALIAS = 5
_RECURSION = 0x0100
_INTERNET, _CHAOS = 1, 3  # classes
_LABEL, _NAME = 63, 253  # the longest
_POINTERS = 32


class Reply(NamedTuple):
    """A reply: ``code`` 0 is no error; ``aliases`` are the names that its CNAME records lead to."""

    number: int
    code: int
    addresses: tuple[str, ...]
    aliases: tuple[str, ...]


def is_name(text: str) -> bool:
    """Whether DNS can be asked for it."""
    labels = text.rstrip(".").split(".")
    return text.isascii() and len(text) <= _NAME and all(0 < len(label) <= _LABEL for label in labels)


def query(number: int, name: str, kind: int, space: int = _INTERNET) -> bytes:
    """A query for the records of a name, which begins with its 16-bit number."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    asked = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", number, _RECURSION, 1, 0, 0, 0) + asked + struct.pack("!2H", kind, space)


#: The query for a server's own name (RFC 4892), as a datagram and as TCP carries it.
IDENTITY = query(0x6E6C, "id.server", TXT, _CHAOS)
IDENTITY_TCP = struct.pack("!H", len(IDENTITY)) + IDENTITY


def identity(data: bytes) -> str | None:
    """The name of the server that replied to IDENTITY; None if the bytes are no such reply."""
    start = len(IDENTITY) + 12  # the name (a pointer), type, class, TTL, length
    text = data[start + 1 : start + 1 + data[start]] if len(data) > start else b""
    return text.decode("ascii", "replace") if data[:2] == IDENTITY[:2] and text else None


def reply(data: bytes) -> Reply | None:
    """What a reply says; None if the bytes are none."""
    try:
        number, flags, questions, answers = struct.unpack_from("!4H", data)
        if not flags & 0x8000:
            return None
        at = 12
        for _ in range(questions):
            at = _name(data, at)[1] + 4
        addresses: list[str] = []
        aliases: list[str] = []
        for _ in range(answers):
            at = _name(data, at)[1]
            kind, _, _, length = struct.unpack_from("!HHIH", data, at)
            at += 10
            if kind == A and length == 4:
                addresses.append(str(ip_address(data[at : at + 4])))
            elif kind == AAAA and length == 16:
                addresses.append(str(ip_address(data[at : at + 16])))
            elif kind == _ALIAS:
                aliases.append(_name(data, at)[0])
            at += length
    except (struct.error, IndexError, ValueError):
        return None
    return Reply(number, flags & 15, tuple(addresses), tuple(aliases))


def _name(data: bytes, at: int) -> tuple[str, int]:
    """The name at a place, and the place after it."""
    labels: list[str] = []
    end = 0
    for _ in range(_POINTERS * 8):
        length = data[at]
        if length & 0xC0 == 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", data, at)[0] & 0x3FFF
        elif length:
            labels.append(data[at + 1 : at + 1 + length].decode("ascii", "replace"))
            at += 1 + length
        else:
            return ".".join(labels), end or at + 1
    raise ValueError("a name that leads to itself")
