"""Sets, maps and their elements, encoded."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_network

from netlab.kernel.nftables.compile.expressions import value, verdict
from netlab.kernel.nftables.compile.words import PROTOCOLS, NotKnown, address, be32, comment, nest, note, number
from netlab.kernel.rtnetlink.socket import attr
from netlab.objects import NftSet
from netlab.tuples import NamedTuple

ANONYMOUS, CONSTANT, INTERVAL, MAP, TIMEOUT, EVAL = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
_FLAGS = {"": 0, "interval": INTERVAL, "dynamic,timeout": EVAL | TIMEOUT}
_VERDICT = 0xFFFFFF00
_VERDICT_SIZE = 16
_END = 1  # the first address after an interval
_MOST = 60_000  # bytes in a message: an attribute's length has 16 bits
_DYNAMIC = 0xFFFF  # nft's size for sets that packets fill


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


class Type(NamedTuple):
    """A key's part: nft's number for it, its size in bytes, and the order that nft notes (2: the network's)."""

    number: int
    size: int
    order: int


TYPES = {
    "ipv4_addr": Type(7, 4, 2),
    "ipv6_addr": Type(8, 16, 2),
    "inet_proto": Type(12, 1, 2),
    "inet_service": Type(13, 2, 2),
    "integer": Type(4, 4, 1),
    "icmpv6_type": Type(29, 1, 2),
}
_NETWORK, _HOST = 2, 1
# nft's notes: byte order of key and data, elements to be merged, what the key is made of, whether data are intervals, and
# the comment.
_KEY_ORDER, _DATA_ORDER, _MERGED, _KEY_OF, _DATA_OF, _DATA_INTERVAL, _COMMENT = 0, 1, 2, 3, 4, 6, 7
_OF_PAYLOAD, _OF_CT, _OF_CONCATENATION, _OF_VERDICT = 7, 12, 13, 1
_OPEN = attr(6, note(1, _u32(1)))  # on an element: the interval that begins here has no end


def _of(kind: int, inside: bytes = b"") -> bytes:
    return note(0, _u32(kind)) + note(1, inside)


def of_payload(header: int, field: int) -> bytes:
    """Note that a set's key is a header's field."""
    return note(_KEY_OF, _of(_OF_PAYLOAD, note(0, _u32(header)) + note(1, _u32(field))))


def of_connection(key: int, direction: int) -> bytes:
    """Note that a set's key is of the connection."""
    return note(_KEY_OF, _of(_OF_CT, note(0, _u32(key)) + note(1, _u32(direction))))


class Frame(NamedTuple):
    """A set without its name and elements: the attributes of its message, nft's notes on it, and how keys are written."""

    attributes: bytes
    notes: bytes
    types: tuple[str, ...]
    flags: int


@lru_cache(64)
def frame(kind: str, data: str, flags: str, extra: str) -> Frame:
    """The frame of an NftSet of those fields."""
    types = tuple(kind.split(" . "))
    if flags not in _FLAGS or data not in ("", "verdict") or any(type_ not in TYPES for type_ in types):
        raise NotKnown(flags or kind)
    bits = _FLAGS[flags] | (MAP if data else 0)
    timeout, size = b"", b""
    if bits & TIMEOUT:
        seconds = extra.removeprefix("timeout ").removesuffix("s;")
        timeout = attr(11, (int.from_bytes(number(seconds, 4), "big") * 1000).to_bytes(8, "big"))
        size = be32(1, _DYNAMIC)
    elif extra and (extra != "auto-merge;" or bits != INTERVAL):
        raise NotKnown(extra)
    notes = note(_KEY_ORDER, _u32(_NETWORK if len(types) == 1 else 0))
    notes += note(_DATA_ORDER, _u32(0)) if data else b""
    notes += note(_MERGED, _u32(1)) if extra == "auto-merge;" else b""
    notes += note(_KEY_OF, _of(_OF_CONCATENATION)) if len(types) > 1 else b""
    notes += note(_DATA_INTERVAL, _u32(0)) if data else b""
    return Frame(_attributes(bits, types, size, timeout), notes, types, bits)


def named(obj: NftSet) -> bytes:
    """The attributes of a set with a name, but for that."""
    spec = frame(obj.type, obj.data, obj.flags, obj.extra)
    user_data = note(_COMMENT, obj.comment.encode() + b"\0") if obj.comment else b""
    return spec.attributes + attr(13, spec.notes + user_data)


def _attributes(bits: int, types: Sequence[str], size: bytes, timeout: bytes = b"") -> bytes:
    key = width = 0
    for type_ in types:
        key = key << 6 | TYPES[type_].number
        width += (TYPES[type_].size + 3) & ~3 if len(types) > 1 else TYPES[type_].size
    leads = be32(6, _VERDICT) + be32(7, _VERDICT_SIZE) if bits & MAP else b""
    return b"".join((be32(3, bits), be32(4, key), be32(5, width), leads, nest(9, size), timeout))


class Anonymous(NamedTuple):
    """A set that belongs to its rule: the attributes of its message, and its elements."""

    word: str
    attributes: bytes
    elements: tuple[bytes, ...]


@lru_cache(1 << 12)
def anonymous(kind: str, keys: tuple[str, ...], key_of: bytes) -> Anonymous:
    """``{ 80, 443, 8000-8080 }``."""
    intervals = any("-" in text or "/" in text for text in keys)
    listed = _intervals(keys, kind, merged=True) if intervals else (_element(key(text, (kind,))) for text in keys)
    elements = tuple(listed)
    notes = note(_KEY_ORDER, _u32(TYPES[kind].order))
    notes += note(_MERGED, _u32(1)) if intervals else b""
    bits = ANONYMOUS | CONSTANT | (INTERVAL if intervals else 0)
    # an interval that nothing ends is counted with its end all the same
    size = len(elements) + (intervals and elements[-1].endswith(_OPEN))
    return Anonymous("set", _attributes(bits, (kind,), be32(1, size)) + attr(13, notes + key_of), elements)


def choices(entries: Sequence[tuple[str, str, str]]) -> Anonymous:
    """``{ 0 : goto a, 1 : goto b }``, each (number, word, chain)."""
    elements = []
    for shown, word, chain in entries:
        plain = int.from_bytes(number(shown, 4), "big")
        elements.append(_element(_u32(plain), verdict(2, word, chain)))
    return Anonymous("map", _choice(len(entries)), tuple(elements))


@lru_cache(256)
def _choice(count: int) -> bytes:
    notes = note(_KEY_ORDER, _u32(_HOST)) + note(_DATA_ORDER, _u32(0))
    notes += note(_DATA_OF, _of(_OF_VERDICT)) + note(_DATA_INTERVAL, _u32(0))
    return _attributes(ANONYMOUS | CONSTANT | MAP, ("integer",), be32(1, count)) + attr(13, notes)


# -- elements -----------------------------------------------------------------------------------------------------------


def key(text: str, types: Sequence[str]) -> bytes:
    """A key's bytes; the parts of one that is put together are filled up to four."""
    parts = text.split(" . ")
    if len(parts) != len(types):
        raise NotKnown(text)
    if len(types) == 1:
        return _part(text, types[0])
    return b"".join(
        _part(part, kind).ljust((TYPES[kind].size + 3) & ~3, b"\0") for part, kind in zip(parts, types, strict=True)
    )


def _part(text: str, kind: str) -> bytes:
    if kind == "ipv4_addr":
        return address(text, 4)
    if kind == "ipv6_addr":
        return address(text, 6)
    if kind == "inet_proto":
        if text not in PROTOCOLS:
            raise NotKnown(text)
        return bytes((PROTOCOLS[text],))
    return number(text, TYPES[kind].size)


def _element(key: bytes, *more: bytes) -> bytes:
    return nest(1, value(1, key), *more)


def elements(obj: NftSet, texts: Iterable[str], *, keys_only: bool = False) -> Iterator[bytes]:
    """Elements of a set with a name; ``keys_only``: as they are named to be taken out."""
    spec = frame(obj.type, obj.data, obj.flags, obj.extra)
    if spec.flags & EVAL:
        raise NotKnown("elements of a set that packets fill")
    if spec.flags & INTERVAL:
        if spec.flags & MAP or len(spec.types) > 1:
            raise NotKnown("intervals in maps")
        yield from _intervals(texts, spec.types[0], merged=obj.extra == "auto-merge;")
        return
    for text in sorted(texts):
        shown, leads, user_data = text, b"", b""
        if spec.flags & MAP:
            shown, _, verdict = text.partition(" : ")
            words = verdict.split(" ")
            if not verdict or len(words) > 2:
                raise NotKnown(text)
            leads = b"" if keys_only else _verdict(words)
        shown, _, quoted = shown.partition(" comment ")
        if quoted and not keys_only:
            user_data = attr(6, comment(quoted))
        yield _element(key(shown, spec.types), leads, user_data)


def _verdict(words: Sequence[str]) -> bytes:
    if words[0] in ("jump", "goto") and len(words) == 2:
        return verdict(2, *words)
    if words[0] in ("accept", "drop", "return") and len(words) == 1:
        return verdict(2, words[0])
    raise NotKnown(" ".join(words))


def _intervals(texts: Iterable[str], kind: str, *, merged: bool = False) -> Iterator[bytes]:
    """Ranges as the kernel keeps them: each one's first, and the first after it, which ends it.

    What lies before the first range is said to end too, as nft does, unless it begins at zero.  ``merged``: nft would make
    one of two that touch.
    """
    size = TYPES[kind].size
    spans = sorted(_span(text, kind) for text in texts)
    ended = be32(3, _END)
    if spans and spans[0][0]:
        yield _element(bytes(size), ended)
    before = -2
    for low, high in spans:
        if low <= before or (merged and low == before + 1):
            raise NotKnown("ranges that touch")
        before, after = high, high + 1
        if after < 1 << 8 * size:
            yield _element(low.to_bytes(size, "big"))
            yield _element(after.to_bytes(size, "big"), ended)
        else:
            yield _element(low.to_bytes(size, "big"), _OPEN)


def _span(text: str, kind: str) -> tuple[int, int]:
    if "/" in text:
        try:
            whole = ip_network(text)
        except ValueError:
            raise NotKnown(text) from None
        return int(whole[0]), int(whole[-1])
    low, _, high = text.partition("-")
    first, last = (int.from_bytes(_part(text, kind), "big") for text in (low, high or low))
    if last < first:
        raise NotKnown(text)
    return first, last


def portions(listed: Iterable[bytes]) -> Iterator[bytes]:
    """Elements as lists that fit into a message each."""
    part: list[bytes] = []
    size = 0
    for element in listed:
        if size + len(element) > _MOST:
            yield nest(3, *part)
            part, size = [], 0
        part.append(element)
        size += len(element)
    if part:
        yield nest(3, *part)
