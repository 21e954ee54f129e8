"""Header compression of HTTP/2 (RFC 7541), as far as reading an answer's ``:status`` and ``grpc-*`` headers needs it.

Of the static table only the statuses have their texts; other names in it are of no interest and read as "".  Huffman
codes are read up to 15 bits, which are all printable ASCII characters but the backslash; a text ends before any other.
"""

from __future__ import annotations

# The code is canonical: of one length the numbers go up with the characters, so the characters of each length say it all.
_BY_LENGTH = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
}
_STATUSES = ("200", "204", "206", "304", "400", "404", "500")
_STATIC = {8 + place: (":status", status) for place, status in enumerate(_STATUSES)}
_STATIC_SIZE = 61
_TABLE_MAX = 4096  # bytes; what a receiver that says nothing else offers


def _codes() -> dict[tuple[int, int], str]:
    found, code, before = {}, 0, 5
    for length, characters in _BY_LENGTH.items():
        code <<= length - before
        before = length
        for character in characters:
            found[length, code] = character
            code += 1
    return found


class Decoder:
    """Reads the header blocks of one connection, in order; ValueError where they make no sense."""

    def __init__(self) -> None:
        self._table: list[tuple[str, str]] = []  # the newest first
        self._size, self._max = 0, _TABLE_MAX
        self._codes = _codes()

    def read(self, block: bytes) -> list[tuple[str, str]]:
        """The headers of a block."""
        found, place = [], 0
        try:
            while place < len(block):
                first = block[place]
                if first & 0x80:  # the whole header by number
                    number, place = self._integer(block, place, 7)
                    found.append(self._entry(number))
                elif first & 0xE0 == 0x20:  # a new size of the table
                    self._max, place = self._integer(block, place, 5)
                    self._shrink()
                else:
                    kept = first & 0x40
                    number, place = self._integer(block, place, 6 if kept else 4)
                    name = self._entry(number)[0] if number else ""
                    if not number:
                        name, place = self._text(block, place)
                    value, place = self._text(block, place)
                    found.append((name, value))
                    if kept:
                        self._table.insert(0, (name, value))
                        self._size += len(name) + len(value) + 32
                        self._shrink()
        except IndexError:
            raise ValueError("a header block ends too early") from None
        return found

    def _entry(self, number: int) -> tuple[str, str]:
        if number <= _STATIC_SIZE:
            return _STATIC.get(number, ("", ""))
        return self._table[number - _STATIC_SIZE - 1]

    def _shrink(self) -> None:
        while self._size > self._max and self._table:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + 32

    @staticmethod
    def _integer(block: bytes, place: int, bits: int) -> tuple[int, int]:
        most = (1 << bits) - 1
        number = block[place] & most
        place += 1
        shift = 0
        while number >= most:
            byte = block[place]
            place += 1
            number += (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 28:
                raise ValueError("a number in a header block is too large")
        return number, place

    def _text(self, block: bytes, place: int) -> tuple[str, int]:
        packed = block[place] & 0x80
        length, place = self._integer(block, place, 7)
        raw = block[place : place + length]
        if len(raw) < length:
            raise IndexError
        return (self._unpacked(raw) if packed else raw.decode("latin-1")), place + length

    def _unpacked(self, raw: bytes) -> str:
        text, code, length = [], 0, 0
        for byte in raw:
            for shift in range(7, -1, -1):
                code, length = code << 1 | byte >> shift & 1, length + 1
                character = self._codes.get((length, code))
                if character is not None:
                    text.append(character)
                    code = length = 0
                elif length > 15 or (length == 15 and code == 0x7FFF):
                    return "".join(text)
        return "".join(text)


def literal(name: str, value: str) -> bytes:
    """A header as it stands, which neither side keeps (RFC 7541, 6.2.2)."""
    return b"\0" + _plain(name) + _plain(value)


def _plain(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if len(raw) < 0x7F:
        return bytes([len(raw)]) + raw
    rest, long = len(raw) - 0x7F, bytearray([0x7F])
    while rest >= 0x80:
        long.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*long, rest]) + raw
