"""The expressions that a rule is made of, each encoded as an element of its list."""

from __future__ import annotations

import struct
from functools import lru_cache

from netlab.kernel.nftables.compile.words import be32, nest
from netlab.kernel.rtnetlink.socket import attr, attr_str

EQ, NE, LE, GE = 0, 1, 3, 5
NETWORK, TRANSPORT = 1, 2  # payload bases
META_MARK, META_NFPROTO, META_L4PROTO = 3, 15, 16
CT_STATE, CT_PROTO_SRC, CT_SRC_IP, CT_SRC_IP6 = 0, 11, 19, 21
ORIGINAL, REPLY = 0, 1
_DNAT, _PORT_GIVEN = 1, 0x2
REJECT_ICMP, REJECT_TCP_RESET, REJECT_ICMPX = 0, 1, 2
REJECT_ICMPX_CODES = {"no-route": 0, "port-unreachable": 1, "host-unreachable": 2, "admin-prohibited": 3}
PORT_UNREACHABLE = {"ip": 3, "ip6": 4}
FIB_OIF, FIB_TYPE = 1, 3
FIB_SADDR, FIB_DADDR, FIB_PRESENT = 0x1, 0x2, 0x20
FULLY_RANDOM = 0x10
_UPDATE = 1
_RANDOM = 1
INVERTED = 1
PLACEHOLDER = b"\xffNO\xff"  # stands for the number of a set that has none yet
_VERDICTS = {"accept": 1, "drop": 0, "return": 0xFFFFFFFB}
_JUMPS = {"jump": 0xFFFFFFFD, "goto": 0xFFFFFFFC}


def _expression(name: str, *parts: bytes) -> bytes:
    return nest(1, attr_str(1, name), nest(2, *parts))


def register(number: int) -> int:
    """The number of the register that begins at a byte: the four old ones are of 16 bytes, the new ones of four."""
    return 1 + number // 16 if number % 16 == 0 else 8 + number // 4


def value(kind: int, data: bytes) -> bytes:
    """Bytes to compare with, or to put somewhere."""
    return nest(kind, attr(1, data))


def verdict(kind: int, word: str, chain: str = "") -> bytes:
    """``accept``, ``drop``, ``return``, or ``jump`` and ``goto`` with their chain."""
    code = be32(1, _JUMPS[word] if chain else _VERDICTS[word])
    return nest(kind, nest(2, code, attr_str(2, chain) if chain else b""))


@lru_cache(256)
def payload(base: int, offset: int, size: int, to: int = 1) -> bytes:
    """Bytes of a header into a register."""
    return _expression("payload", be32(1, to), be32(2, base), be32(3, offset), be32(4, size))


@lru_cache(64)
def meta(key: int, to: int = 1) -> bytes:
    """Load metadata of the packet."""
    return _expression("meta", be32(1, to), be32(2, key))


@lru_cache(64)
def ct(key: int, direction: int | None, to: int = 1) -> bytes:
    """Load a field of the packet's connection, in a direction if the field has one."""
    data = b"" if direction is None else struct.pack("=HHB3x", 5, 3, direction)
    return _expression("ct", be32(1, to), be32(2, key), data)


@lru_cache(64)
def fib(result: int, flags: int, to: int = 1) -> bytes:
    """Look an address up in the routing table."""
    return _expression("fib", be32(1, to), be32(2, result), be32(3, flags))


def set_mark() -> bytes:
    """The first register as the packet's mark."""
    return _expression("meta", be32(2, META_MARK), be32(3, 1))


@lru_cache(1 << 12)
def compare(operator: int, data: bytes) -> bytes:
    """Go on with the rule only if the first register is so."""
    return _expression("cmp", be32(1, 1), be32(2, operator), value(3, data))


@lru_cache(256)
def mask(bits: bytes, flip: bytes = b"") -> bytes:
    """Keep some bits of the first register, then turn some over."""
    size = len(bits)
    return _expression("bitwise", be32(1, 1), be32(2, 1), be32(3, size), value(4, bits), value(5, flip or bytes(size)))


def lookup(name: str, *, number: bytes | None = None, inverted: bool = False, verdicts: bool = False) -> bytes:
    """Look the registers up in a set or map (``verdicts``); ``number``: the set's, where it is new and has no name."""
    return _expression(
        "lookup",
        attr_str(1, name),
        be32(2, 1),
        be32(3, 0) if verdicts else b"",
        attr(4, number) if number is not None else b"",
        be32(5, INVERTED) if inverted else b"",
    )


COUNTER = _expression("counter", attr(1, bytes(8)), attr(2, bytes(8)))


@lru_cache(1 << 14)
def decide(word: str, chain: str = "") -> bytes:
    """A verdict as a statement."""
    return _expression("immediate", be32(1, 0), verdict(2, word, chain))


def reject(kind: int, code: int) -> bytes:
    """Drop, and say so."""
    return _expression("reject", be32(1, kind), struct.pack("=HHB3x", 5, 2, code))


def masquerade(flags: int) -> bytes:
    """The source becomes the outgoing link's address."""
    return _expression("masq", be32(1, flags) if flags else b"")


def choose(among: int) -> bytes:
    """``numgen random mod``."""
    return _expression("numgen", be32(1, 1), be32(2, among), be32(3, _RANDOM), be32(4, 0))


def remember(name: str) -> bytes:
    """``update @name { ... }`` with the first register."""
    return _expression("dynset", attr_str(1, name), be32(3, _UPDATE), be32(4, 1))


def dnat(family: int, to: bytes, port: bytes) -> bytes:
    """``dnat to address:port``."""
    return b"".join(
        (
            _expression("immediate", be32(1, 1), value(2, to)),
            _expression("immediate", be32(1, 2), value(2, port)),
            _expression("nat", be32(1, _DNAT), be32(2, family), be32(3, 1), be32(5, 2), be32(7, _PORT_GIVEN)),
        )
    )
