"""What a rule can look at: a header's field, the connection, a packet's mark, the routing table's opinion.

Each loads its bytes into a register, has a type, and nft's note on it where it is a set's key.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

from netlab.kernel.nftables.compile import expressions as to
from netlab.kernel.nftables.compile import sets
from netlab.kernel.nftables.compile.words import NFPROTO, PROTOCOLS, NotKnown
from netlab.tuples import NamedTuple

_IP_FIELDS = {("ip", "saddr"): (12, 4), ("ip", "daddr"): (16, 4), ("ip6", "saddr"): (8, 16), ("ip6", "daddr"): (24, 16)}
# nft's numbers of headers and their fields, for its note on what a set's key is.
_HEADERS = {"udp": 6, "tcp": 8, "sctp": 10, "ip": 12, "ip6": 13, "icmpv6": 14}
_FIELDS = {("ip", "saddr"): 11, ("ip", "daddr"): 12, ("ip6", "saddr"): 8, ("ip6", "daddr"): 9}
_DPORT, _ICMP_TYPE = 2, 1
_FIB = {"oif": to.FIB_OIF, "type": to.FIB_TYPE}
_FIB_ENDS = {"saddr": to.FIB_SADDR, "daddr": to.FIB_DADDR}


class Field(NamedTuple):
    """``load`` puts it into a register; ``ip`` and ``protocol`` are the headers that must be there first."""

    kind: str
    load: Callable[[int], bytes]
    note: bytes = b""
    ip: str = ""
    protocol: str = ""
    header: tuple[int, int] | None = None  # base and offset, of one whose first bytes can be loaded alone


def header(base: int, offset: int, kind: str, note: bytes, *, ip: str = "", protocol: str = "") -> Field:
    """Bytes of a header."""
    size = sets.TYPES[kind].size
    return Field(kind, lambda into: to.payload(base, offset, size, into), note, ip, protocol, (base, offset))


def field(next_word: Callable[[], str]) -> Field:
    """The field that the next words name.  Raises NotKnown."""
    first, second = next_word(), next_word()
    if first == "ct" and second != "state":
        return _of_connection(second, next_word)
    if first == "fib" and second in _FIB_ENDS:
        return _of_routes(_FIB_ENDS[second], next_word())
    return _named(first, second)


@lru_cache(64)
def _named(first: str, second: str) -> Field:
    if (first, second) in _IP_FIELDS:
        offset, size = _IP_FIELDS[first, second]
        note = sets.of_payload(_HEADERS[first], _FIELDS[first, second])
        return header(to.NETWORK, offset, "ipv4_addr" if size == 4 else "ipv6_addr", note, ip=first)
    if first in PROTOCOLS and second == "dport":
        note = sets.of_payload(_HEADERS[first], _DPORT)
        return header(to.TRANSPORT, 2, "inet_service", note, protocol=first)
    if (first, second) == ("th", "dport"):
        return header(to.TRANSPORT, 2, "inet_service", b"")
    if (first, second) == ("icmpv6", "type"):
        note = sets.of_payload(_HEADERS[first], _ICMP_TYPE)
        return header(to.TRANSPORT, 0, "icmpv6_type", note, ip="ip6", protocol="icmpv6")
    if (first, second) == ("meta", "l4proto"):
        return Field("inet_proto", lambda into: to.meta(to.META_L4PROTO, into))
    if (first, second) == ("meta", "mark"):
        return Field("mark", lambda into: to.meta(to.META_MARK, into))
    if (first, second) == ("ct", "state"):
        return Field("ct_state", lambda into: to.ct(to.CT_STATE, None, into))
    raise NotKnown(f"{first} {second}")


def _of_connection(word: str, next_word: Callable[[], str]) -> Field:
    direction = {"original": to.ORIGINAL, "reply": to.REPLY}.get(word)
    if direction is None:
        raise NotKnown(f"ct {word}")
    key_word = next_word()
    if key_word == "proto-src":
        key, kind = to.CT_PROTO_SRC, "inet_service"
    elif key_word in NFPROTO and next_word() == "saddr":
        key, kind = (to.CT_SRC_IP, "ipv4_addr") if key_word == "ip" else (to.CT_SRC_IP6, "ipv6_addr")
    else:
        raise NotKnown(f"ct {key_word}")
    return Field(kind, lambda into: to.ct(key, direction, into), sets.of_connection(key, direction))


def _of_routes(end: int, word: str) -> Field:
    if word not in _FIB:
        raise NotKnown(f"fib {word}")
    flags = end | (to.FIB_PRESENT if word == "oif" else 0)
    kind = "boolean" if word == "oif" else "fib_addrtype"
    return Field(kind, lambda into: to.fib(_FIB[word], flags, into))


_WORDS = {
    "boolean": {"missing": struct.pack("=I", 0), "exists": struct.pack("=I", 1)},
    "fib_addrtype": {"unicast": struct.pack("=I", 1), "local": struct.pack("=I", 2)},
}


def value(kind: str, text: str) -> bytes:
    """The bytes of a value, for a comparison with a field of the type.  Raises NotKnown."""
    if kind in _WORDS:
        if text not in _WORDS[kind]:
            raise NotKnown(text)
        return _WORDS[kind][text]
    if kind == "mark":
        return host_number(text)
    return sets.key(text, (kind,))


def host_number(text: str) -> bytes:
    """A 32-bit number, also a hexadecimal one, in this machine's order."""
    try:
        return struct.pack("=I", int(text, 0))
    except (ValueError, struct.error):
        raise NotKnown(text) from None
