"""How the traced packet is told from all others: the socket filter on real frames, run by the kernel on a socketpair."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from netlab.kernel.capture import filter as cbpf
from netlab.observe.trace.mark import Mark, concerns, program

ISN = 0x41424344
AFTER = ISN + 1


def ethernet(kind: int, payload: bytes) -> bytes:
    return bytes(12) + struct.pack("!H", kind) + payload


def ip(protocol: int, payload: bytes, *, v6: bool = False, fragment: int = 0, options: bytes = b"") -> bytes:
    if v6:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        return head + ip_address("fd00::1").packed + ip_address("fd00::2").packed + payload
    words = (20 + len(options)) // 4
    head = struct.pack("!BBHHHBBH", 4 << 4 | words, 0, 4 * words + len(payload), 7, fragment, 64, protocol, 0)
    return head + bytes((10, 0, 0, 1, 10, 0, 0, 2)) + options + payload


def frame(packet: bytes) -> bytes:
    return ethernet(0x0800 if packet[0] >> 4 == 4 else 0x86DD, packet)


def tcp(seq: int, ack: int = 0) -> bytes:
    return struct.pack("!HHIIBBHHH", 40000, 80, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, 2, 100, 0, 0)


def udp(source: int, target: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def vxlan(inner: bytes, *, port: int = 4789, v6: bool = False) -> bytes:
    return frame(ip(17, udp(33333, port, struct.pack("!II", 0x08000000, 1 << 8) + inner), v6=v6))


def echo(marker: int, *, v6: bool = False, reply: bool = False) -> bytes:
    kind = ((128, 129) if v6 else (8, 0))[reply]
    return struct.pack("!BBHHHI", kind, 0, 0, 1, 1, marker) + b"....."


class Sieve:
    """A pair of sockets of which one has the filter."""

    def __init__(self, mark: Mark) -> None:
        self._out, self._in = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        cbpf.attach(self._in, program(mark))
        self._in.setblocking(False)

    def lets(self, data: bytes) -> bool:
        self._out.send(data)
        try:
            return self._in.recv(65536) == data
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._out.close()
        self._in.close()


@pytest.fixture
def tcp_sieve() -> Iterator[Sieve]:
    sieve = Sieve(Mark("TCP", ISN, v6=False))
    yield sieve
    sieve.close()


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("outer6", [False, True])
def test_tcp_is_found_plain_and_in_every_tunnel(tcp_sieve: Sieve, v6: bool, outer6: bool) -> None:
    ours = (tcp(ISN), tcp(AFTER), tcp(ISN + 3000), tcp(12345, AFTER), tcp(0, AFTER + 100))
    others = (tcp(ISN - 1), tcp(ISN + 70000), tcp(99, ISN - 5), tcp(0, 0))
    for segments, passes in ((ours, True), (others, False)):
        for segment in segments:
            plain = frame(ip(6, segment, v6=v6))
            assert tcp_sieve.lets(plain) is passes
            for port in (4789, 8472, 6784):
                assert tcp_sieve.lets(vxlan(plain, port=port, v6=outer6)) is passes
            assert not tcp_sieve.lets(vxlan(plain, port=4790, v6=outer6)), "no tunnel's port"


def test_options_in_the_inner_header_do_not_hide_it(tcp_sieve: Sieve) -> None:
    packet = ip(6, tcp(ISN), options=b"\x94\x04\x00\x00")
    assert tcp_sieve.lets(frame(packet))
    assert tcp_sieve.lets(vxlan(frame(packet)))
    assert not tcp_sieve.lets(frame(ip(6, tcp(ISN + 100_000), options=b"\x94\x04\x00\x00")))


def test_neighbours_icmp_and_fragments_pass(tcp_sieve: Sieve) -> None:
    arp = ethernet(0x0806, bytes(28))
    solicitation = frame(ip(58, b"\x87" + bytes(23), v6=True))
    redirect = frame(ip(1, b"\x05" + bytes(40)))
    for data in (arp, vxlan(arp), solicitation, vxlan(solicitation), redirect,
                 frame(ip(17, b"later part", fragment=100)), frame(ip(44, b"\x11" + bytes(15), v6=True))):  # fmt: skip
        assert tcp_sieve.lets(data)
    for data in (
        ethernet(0x88CC, bytes(60)),
        frame(ip(1, echo(1))),
        frame(ip(58, echo(1, v6=True), v6=True)),
        frame(ip(17, udp(1, 2, b"what"))),
        frame(ip(132, bytes(40))),
        b"short",
    ):
        assert not tcp_sieve.lets(data)


def about(packet: bytes, *, v6: bool = False) -> bytes:
    """An ICMP error that quotes a packet."""
    return ip(58 if v6 else 1, struct.pack("!BBHI", 1 if v6 else 3, 1, 0, 0) + packet, v6=v6)


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("protocol", ["TCP", "UDP", "ICMP"])
def test_an_error_is_let_through_where_it_is_about_ours(protocol: str, v6: bool) -> None:
    sieve = Sieve(Mark(protocol, ISN, v6=v6, port=40000 if protocol == "UDP" else 0))
    icmp = 58 if v6 else 1
    ours, others = {
        "TCP": (((6, tcp(ISN)), (6, tcp(9, AFTER))), ((6, tcp(9, 9)), (17, udp(1, 2, b"....")))),
        "UDP": (((17, udp(1, 2, struct.pack("!I", ISN))), (17, udp(53, 40000, b"...."))), ((17, udp(1, 2, b"....")),)),
        "ICMP": (((icmp, echo(ISN, v6=v6)),), ((icmp, echo(5, v6=v6)), (17, udp(1, 2, b"....")))),
    }[protocol]
    for packets, passes in ((ours, True), (others, False)):
        for packet in packets:
            error = frame(about(ip(*packet, v6=v6), v6=v6))
            assert sieve.lets(error) is passes, (protocol, packet)
            assert sieve.lets(vxlan(error)) is passes
    tunnel = vxlan(frame(ip(6, tcp(1))), v6=v6)[14:]
    assert sieve.lets(frame(about(tunnel, v6=v6))), "about the tunnel's own packet"
    sieve.close()


def test_own_echoes_pass() -> None:
    sieve = Sieve(Mark("ICMP", ISN, v6=False))
    for packet, passes in ((echo(ISN), True), (echo(ISN, reply=True), True), (echo(5), False)):
        assert sieve.lets(frame(ip(1, packet))) is passes
        assert sieve.lets(vxlan(frame(ip(1, packet)))) is passes
    assert not sieve.lets(frame(ip(6, tcp(ISN))))
    sieve.close()


@pytest.mark.parametrize("v6", [False, True])
def test_udp_is_found_by_its_mark_and_its_answer_by_the_ports(v6: bool) -> None:
    sieve = Sieve(Mark("UDP", ISN, v6=v6, port=40000, answers=(53, 5353)))
    marked = struct.pack("!I", ISN) + b"text"
    for segment, passes in (
        (udp(1, 2, marked), True),
        (udp(5353, 61000, b"answer"), True),
        (udp(9, 40000, b"answer"), True),
        (udp(9, 10, b"something else"), False),
    ):
        plain = frame(ip(17, segment, v6=v6))
        assert sieve.lets(plain) is passes
        assert sieve.lets(vxlan(plain)) is passes
    sieve.close()


@pytest.mark.parametrize("v6", [False, True])
def test_what_was_dropped_is_known_for_ours(v6: bool) -> None:
    def packet(protocol: int, payload: bytes) -> bytes:
        return ip(protocol, payload, v6=v6)

    def wrapped(inner: bytes) -> bytes:
        return vxlan(frame(inner))[14:]

    mark = Mark("TCP", ISN, v6=v6)
    assert all(concerns(mark, one(packet(6, tcp(ISN)))) for one in (bytes, wrapped))
    assert concerns(mark, packet(6, tcp(5, AFTER))), "the answer"
    assert not concerns(mark, packet(6, tcp(5, 6)))
    assert not concerns(mark, packet(17, udp(1, 2, struct.pack("!I", ISN))))
    mark = Mark("ICMP", ISN, v6=v6)
    icmp = 58 if v6 else 1
    assert concerns(mark, wrapped(packet(icmp, echo(ISN, v6=v6))))
    assert concerns(mark, packet(icmp, echo(ISN, v6=v6, reply=True)))
    assert not concerns(mark, packet(icmp, echo(ISN + 1, v6=v6)))
    error = struct.pack("!BBHI", 1 if v6 else 3, 1, 0, 0) + packet(icmp, echo(ISN, v6=v6))
    assert not concerns(mark, packet(icmp, error)), "an error about it is not itself"
    mark = Mark("UDP", ISN, v6=v6, port=40000)
    assert concerns(mark, packet(17, udp(1, 2, struct.pack("!I", ISN))))
    assert concerns(mark, packet(17, udp(53, 40000, b"answer")))
    for cut in range(60):  # whatever is cut off, nothing breaks
        concerns(mark, wrapped(packet(17, udp(1, 2, b"abcdefgh")))[:cut])
