"""The kernel's description of its types (BTF): offsets of fields, names of an enumeration's values.

Only requested types are indexed: a walk over all 127,000 types of a kernel, with every name read, takes 50 ms. Numbers:
Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

VMLINUX = "/sys/kernel/btf/vmlinux"
_INT, _PTR, _STRUCT, _UNION, _ENUM, _TYPEDEF, _FUNC_PROTO = 1, 2, 4, 5, 6, 8, 13
_ALIASES = (_TYPEDEF, 9, 10, 11, 18)  # typedef, volatile, const, restrict, type tag
# By kind: words that follow a type's three, and words for each of its members.
_FIXED = (0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, *[0] * 12)
_EACH = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3, *[0] * 12)


class Btf:
    """The types of some names.  Raises ValueError where the data is not BTF of this machine's byte order."""

    def __init__(self, data: bytes, names: Iterable[str]) -> None:
        magic, _, _, header, types, size, strings, _ = struct.unpack_from("=HBBIIIII", data)
        if magic != 0xEB9F:
            raise ValueError("no BTF")
        self._data = data
        self._strings = header + strings
        begin = header + types
        self._words = words = memoryview(data)[begin : begin + size].cast("I")
        wanted = {}
        for name in names:
            at = data.find(b"\0" + name.encode() + b"\0", self._strings)
            if at >= 0:
                wanted[at + 1 - self._strings] = name
        self._at = offsets = [0]
        self._ids: dict[tuple[str, int], int] = {}
        fixed, each, at, end = _FIXED, _EACH, 0, len(words)
        while at < end:
            info = words[at + 1]
            kind = info >> 24 & 31
            if words[at] in wanted:
                self._ids.setdefault((wanted[words[at]], kind), len(offsets))
            offsets.append(at)
            at += 3 + fixed[kind] + each[kind] * (info & 0xFFFF)

    def offset(self, struct_name: str, path: str) -> int:
        """The offset of a field in a structure, in bytes; ``path`` can lead through inner structures.

        Raises KeyError where there is none.
        """
        return self._field(self._ids[struct_name, _STRUCT], path) // 8

    def values(self, enum: str) -> dict[int, str]:
        """An enumeration's names by value.  Raises KeyError where there is none."""
        at = self._at[self._ids[enum, _ENUM]]
        count = self._words[at + 1] & 0xFFFF
        return {self._words[at + 4 + 2 * index]: self._name(self._words[at + 3 + 2 * index]) for index in range(count)}

    def arguments(self, typedef: str) -> list[str]:
        """The arguments of a function pointer: each argument's type by name, "" if it has none.

        Raises KeyError where there is no such typedef.
        """
        pointer, _ = self._plain(self._ids[typedef, _TYPEDEF])
        proto, kind = self._plain(self._words[self._at[pointer] + 2])
        if kind != _FUNC_PROTO:
            raise KeyError(typedef)
        at = self._at[proto]
        types = []
        for index in range(self._words[at + 1] & 0xFFFF):
            plain, kind = self._plain(self._words[at + 4 + 2 * index])
            if kind == _PTR:
                plain, _ = self._plain(self._words[self._at[plain] + 2])
            types.append(self._name(self._words[self._at[plain]]) if plain else "")
        return types

    def _name(self, offset: int) -> str:
        begin = self._strings + offset
        return self._data[begin : self._data.index(b"\0", begin)].decode()

    def _plain(self, number: int) -> tuple[int, int]:
        """A type without its typedefs and qualifiers, and its kind."""
        while number:
            at = self._at[number]
            kind = self._words[at + 1] >> 24 & 31
            if kind not in _ALIASES:
                return number, kind
            number = self._words[at + 2]
        return 0, 0

    def _members(self, number: int) -> Iterator[tuple[str, int, int]]:
        at = self._at[number]
        info = self._words[at + 1]
        for index in range(info & 0xFFFF):
            name, kind, offset = self._words[at + 3 + 3 * index : at + 6 + 3 * index]
            yield self._name(name), kind, offset & 0xFFFFFF if info >> 31 else offset

    def _field(self, number: int, path: str) -> int:
        """The offset of a dotted path in bits; what has no name is looked into."""
        head, _, rest = path.partition(".")
        number, _ = self._plain(number)
        for name, kind, offset in self._members(number):
            if name == head:
                return offset + (self._field(kind, rest) if rest else 0)
            if not name:
                plain, shape = self._plain(kind)
                if shape in (_STRUCT, _UNION):
                    try:
                        return offset + self._field(plain, path)
                    except KeyError:
                        continue
        raise KeyError(path)
