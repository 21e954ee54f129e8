"""pcapng blocks, read back by a reader of the test's own, written from the format's text."""

from __future__ import annotations

import io
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.evidence.records import BROADCAST, IN, MULTICAST, OTHERHOST, OUT
from netlab.wire.pcapng import FLAGS_OPTION, ID_OPTION, Interface, Writer, packet, quick, section, statistics


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """(type, body) of each block; both lengths must agree and be whole words."""
    found, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0 and size >= 12 and at + size <= len(data)
        assert struct.unpack_from("<I", data, at + size - 4) == (size,)
        found.append((kind, data[at + 8 : at + size - 4]))
        at += size
    return found


def options(body: bytes) -> list[tuple[int, bytes]]:
    """(code, value) of each option up to opt_endofopt, which must be the last there is."""
    found, at = [], 0
    while at < len(body):
        code, size = struct.unpack_from("<HH", body, at)
        value = body[at + 4 : at + 4 + size]
        assert len(value) == size and not any(body[at + 4 + size : at + 4 + size + -size % 4])
        at += 4 + size + -size % 4
        if code == 0:
            assert size == 0 and at == len(body)
            return found
        found.append((code, value))
    assert not found, "options without an end"
    return found


def parts(body: bytes) -> dict[str, Any]:
    """An enhanced packet block."""
    number, high, low, size, length = struct.unpack_from("<IIIII", body)
    end = 20 + size + -size % 4
    return {
        "number": number,
        "time": high << 32 | low,
        "data": body[20 : 20 + size],
        "length": length,
        "options": options(body[end:]),
    }


@given(
    number=st.integers(0, 2**32 - 1),
    time=st.integers(0, 2**64 - 1),
    data=st.binary(max_size=300),
    more=st.integers(0, 70000),
    direction=st.sampled_from(["", IN, OUT, MULTICAST, BROADCAST, OTHERHOST]),
    comments=st.lists(st.text(max_size=40), max_size=3),
    packet_id=st.none() | st.integers(0, 2**64 - 1),
)
def test_a_packet_comes_back_as_it_was(
    number: int, time: int, data: bytes, more: int, direction: str, comments: list[str], packet_id: int | None
) -> None:
    ((kind, body),) = blocks(
        packet(number, time, data, length=len(data) + more, direction=direction, comments=comments, packet_id=packet_id)
    )
    got = parts(body)
    assert kind == 6
    assert (got["number"], got["time"], got["data"], got["length"]) == (number, time, data, len(data) + more)
    said = got["options"]
    assert [value.decode() for code, value in said if code == 1] == comments
    assert [struct.unpack("<Q", value)[0] for code, value in said if code == 5] == (
        [] if packet_id is None else [packet_id]
    )
    flags = [struct.unpack("<I", value)[0] for code, value in said if code == 2]
    assert len(flags) == (direction != "")
    if direction:
        assert flags[0] & 3 == (2 if direction == OUT else 1)


@given(data=st.binary(max_size=200), time=st.integers(0, 2**64 - 1), packet_id=st.integers(0, 2**64 - 1))
def test_the_quick_way_makes_the_same_bytes(data: bytes, time: int, packet_id: int) -> None:
    way = quick(len(data))
    option = FLAGS_OPTION[OTHERHOST]
    made = way.pack(
        way.head, 3, time >> 32, time & 0xFFFFFFFF, len(data), 9000, data, option, ID_OPTION, packet_id, way.whole
    )
    assert made == packet(3, time, data, length=9000, direction=OTHERHOST, packet_id=packet_id)


@pytest.mark.parametrize(
    ("direction", "reception"), [(IN, 1), (MULTICAST, 2), (BROADCAST, 3), (OTHERHOST, 4), (OUT, 0)]
)
def test_flags_tell_whom_a_frame_was_for(direction: str, reception: int) -> None:
    ((_, body),) = blocks(packet(0, 0, b"", direction=direction))
    ((_, flags),) = parts(body)["options"]
    assert struct.unpack("<I", flags)[0] >> 2 & 7 == reception


def test_a_file_opens_with_a_section_and_names_each_interface_once() -> None:
    file = io.BytesIO()
    writer = Writer(file.write, "a lab")
    eth0 = Interface("node-1/eth0", "uplink of node-1", bytes.fromhex("0a0100010000"), filter="icmp")
    assert [writer.add(eth0), writer.add(Interface("client/eth0")), writer.add(eth0)] == [0, 1, 0]
    writer.names({"10.244.1.2": ["client", "client.default"], "fd00::2": ["server"]})
    writer.names({})
    writer.packet(1, 5, b"abc")
    kinds = [kind for kind, _ in blocks(file.getvalue())]
    assert kinds == [0x0A0D0D0A, 1, 1, 4, 6]
    head, first, _, resolution, _ = (body for _, body in blocks(file.getvalue()))
    assert struct.unpack_from("<IHHq", head) == (0x1A2B3C4D, 1, 0, -1)
    assert dict(options(head[16:]))[1] == b"a lab"
    assert struct.unpack_from("<HHI", first) == (1, 0, 0)
    assert dict(options(first[8:])) == {
        2: b"node-1/eth0",
        3: b"uplink of node-1",
        6: bytes.fromhex("0a0100010000"),
        9: b"\x09",
        11: b"\0icmp",
    }
    assert options(resolution) == [
        (1, socket.inet_aton("10.244.1.2") + b"client\0client.default\0"),
        (2, socket.inet_pton(socket.AF_INET6, "fd00::2") + b"server\0"),
    ]


def test_statistics_say_what_was_lost_only_where_it_is_known() -> None:
    ((kind, body),) = blocks(statistics(2, 1, 1 << 33, received=7, dropped=3, comment="c"))
    assert (kind, struct.unpack_from("<III", body)) == (5, (2, 2, 0))
    said = dict(options(body[12:]))
    assert (said[1], said[2], said[3]) == (b"c", struct.pack("<II", 0, 1), struct.pack("<II", 2, 0))
    assert [struct.unpack("<Q", said[code])[0] for code in (4, 7, 8)] == [7, 3, 7]
    ((_, body),) = blocks(statistics(2, 1, 2, received=7))
    assert 7 not in dict(options(body[12:]))


@pytest.mark.parametrize("unit", ["a", "é", "a€", "aa𝄞"])
def test_a_comment_that_is_too_long_is_cut_between_characters(unit: str) -> None:
    text = unit * 40000
    ((_, body),) = blocks(section(text))
    comment = dict(options(body[16:]))[1]
    assert text.startswith(comment.decode()) and len(comment) <= 65535
    assert len(comment) > min(65531, len(text.encode()) - 1)
