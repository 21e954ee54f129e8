"""Encode pcapng, Wireshark's file format: from values to blocks.

A file is a section header and then blocks in any order.  Each block is self-contained and padded to four bytes.  An
interface block precedes the first packet of its interface; name resolution precedes the packets that need the names.
Each frame is an enhanced packet block; interface statistics come last.  A file may end after any whole block.

``Writer`` is the entry point: it numbers interfaces at their first use.  Times are nanoseconds of CLOCK_REALTIME
(``if_tsresol`` 9; the readers' default would be microseconds).  Files are little-endian on every machine.
Block and option numbers: the IETF's draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from ipaddress import ip_address

from netlab import __version__
from netlab.evidence.records import BROADCAST, IN, MULTICAST, OTHERHOST, OUT
from netlab.tuples import NamedTuple
from netlab.values import dataclass

ETHERNET, RAW_IP = 1, 101  # link types: frames with an Ethernet header; packets that begin with their IP header
_SECTION, _INTERFACE, _NAMES, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 4, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_COMMENT = 1
_HARDWARE, _OS, _APPLICATION = 2, 3, 4  # of the section
_NAME, _DESCRIPTION, _MAC, _RESOLUTION, _FILTER = 2, 3, 6, 9, 11  # of an interface
_FLAGS, _PACKET_ID = 2, 5  # of a packet
_START, _END, _RECEIVED, _OS_DROPPED, _DELIVERED = 2, 3, 4, 7, 8  # of statistics
_IPV4, _IPV6 = 1, 2  # of names
_OPTION_MAX = 65535
#: epb_flags: bits 0-1 inbound or outbound, bits 2-4 unicast, multicast, broadcast or promiscuous (for another host).
FLAGS = {IN: 0b00101, MULTICAST: 0b01001, BROADCAST: 0b01101, OTHERHOST: 0b10001, OUT: 0b00010}


@dataclass(frozen=True, slots=True)
class Interface:
    """A capture point: ``name`` as readers show it (``node-1/cni0``), ``mac`` six bytes or none."""

    name: str
    description: str = ""
    mac: bytes = b""
    link_type: int = ETHERNET
    filter: str = ""


def section(comment: str = "") -> bytes:
    """The section header: the first block of every file."""
    options = [(_HARDWARE, b"network namespaces"), (_OS, b"Linux"), (_APPLICATION, f"netlab {__version__}".encode())]
    if comment:
        options.insert(0, (_COMMENT, comment.encode()))
    return _block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + _options(options))


def interface(link: Interface) -> bytes:
    """An interface block; interfaces are numbered from 0 in block order."""
    options = [(_NAME, link.name.encode())]
    if link.description:
        options.append((_DESCRIPTION, link.description.encode()))
    if link.mac:
        options.append((_MAC, link.mac))
    options.append((_RESOLUTION, b"\x09"))
    if link.filter:
        options.append((_FILTER, b"\0" + link.filter.encode()))  # 0: a string in libpcap's language follows
    return _block(_INTERFACE, struct.pack("<HHI", link.link_type, 0, 0) + _options(options))


def names(records: Mapping[str, Sequence[str]]) -> bytes:
    """A name resolution block: the names of each address; readers show the first name."""
    body = b""
    for address, called in records.items():
        kind = _IPV6 if ":" in address else _IPV4
        value = ip_address(address).packed + b"".join(name.encode() + b"\0" for name in called)
        body += _option(kind, value)
    return _block(_NAMES, body + bytes(4))


def packet(
    number: int,
    time: int,
    data: bytes,
    *,
    length: int = 0,
    direction: str = "",
    comments: Iterable[str] = (),
    packet_id: int | None = None,
) -> bytes:
    """A packet block: ``number`` is the interface's, ``length`` the packet's on the wire where ``data`` is cut.

    ``direction`` is a constant of ``records``.  Sightings of the same packet share a ``packet_id``.
    """
    options = [(_COMMENT, comment.encode()) for comment in comments]
    if direction:
        options.append((_FLAGS, struct.pack("<I", FLAGS[direction])))
    if packet_id is not None:
        options.append((_PACKET_ID, struct.pack("<Q", packet_id)))
    head = struct.pack("<IIIII", number, time >> 32, time & 0xFFFFFFFF, len(data), length or len(data))
    return _block(_PACKET, head + _padded(data) + _options(options))


#: The complete epb_flags option, which follows a frame, by direction.
FLAGS_OPTION = {direction: 4 << 16 | _FLAGS | flags << 32 for direction, flags in FLAGS.items()}
ID_OPTION = 8 << 16 | _PACKET_ID  # the head of epb_packetid


class Quick(NamedTuple):
    """``pack`` encodes the packet block of a frame of one size, with a direction and an id, in one call.

    Its arguments: ``head``, interface, time's high and low 32 bits, size, length on the wire, data, FLAGS_OPTION,
    ID_OPTION, packet id, ``whole``.
    """

    pack: Callable[..., bytes]
    head: int
    whole: int


@cache  # an entry for each frame size
def quick(size: int) -> Quick:
    """The packer of frames of ``size`` bytes."""
    form = struct.Struct(f"<QIIIII{size}s{-size % 4}xQIQ4xI")
    return Quick(form.pack, form.size << 32 | _PACKET, form.size)


def statistics(
    number: int, start: int, end: int, *, received: int, dropped: int | None = None, comment: str = ""
) -> bytes:
    """Interface statistics: the file has ``received`` frames; ``dropped`` frames were lost (None: unknown)."""
    options = [(_COMMENT, comment.encode())] if comment else []
    options += [(_START, _stamp(start)), (_END, _stamp(end)), (_RECEIVED, struct.pack("<Q", received))]
    if dropped is not None:
        options.append((_OS_DROPPED, struct.pack("<Q", dropped)))
    options.append((_DELIVERED, struct.pack("<Q", received)))
    return _block(_STATISTICS, struct.pack("<I", number) + _stamp(end) + _options(options))


class Writer:
    """Writes a file block by block through ``write``, which takes bytes, and numbers the interfaces.

    ``Writer(stream.write, comment="..."); add(interface) -> number; packet(number, time, data, ...)``.
    """

    def __init__(self, write: Callable[[bytes], object], comment: str = "") -> None:
        self._write = write
        self._numbers: dict[Interface, int] = {}
        write(section(comment))

    def add(self, link: Interface) -> int:
        """The number of an interface; the first call writes its block."""
        number = self._numbers.get(link)
        if number is None:
            number = self._numbers[link] = len(self._numbers)
            self._write(interface(link))
        return number

    def names(self, records: Mapping[str, Sequence[str]]) -> None:
        """Name addresses for the packets that follow."""
        if records:
            self._write(names(records))

    def packet(
        self,
        number: int,
        time: int,
        data: bytes,
        *,
        length: int = 0,
        direction: str = "",
        comments: Iterable[str] = (),
        packet_id: int | None = None,
    ) -> None:
        """Write a packet block; for many packets ``quick`` is faster."""
        self._write(
            packet(number, time, data, length=length, direction=direction, comments=comments, packet_id=packet_id)
        )

    def blocks(self, data: bytes) -> None:
        """Write encoded blocks."""
        self._write(data)


def _stamp(time: int) -> bytes:
    return struct.pack("<II", time >> 32, time & 0xFFFFFFFF)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    if len(value) > _OPTION_MAX:
        # Truncate after a whole character: an option is at most 65,535 bytes of UTF-8.
        value = value[:_OPTION_MAX].decode(errors="ignore").encode()
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _options(options: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(_option(*option) for option in options) + (bytes(4) if options else b"")


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size
