"""Decoding: what scapy builds is read back; bytes of any kind never raise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.layers.vxlan import VXLAN

from netlab.wire import packets

A, B = "0a:04:00:01:00:01", "0a:02:00:01:00:00"
# With both addresses: scapy asks the host's network, by ARP, for one that is not given.
FRAME = Ether(src=A, dst=B)
OUT, INNER = IP(src="172.18.0.2", dst="172.18.0.3"), IP(src="10.244.1.2", dst="10.244.2.2", id=77, ttl=63)
SYN = TCP(sport=40000, dport=80, seq=0x6E6C0001, flags="S")


def read(built: Ether) -> packets.Packet:
    return packets.frame(bytes(built))


def test_tcp_over_ipv4_with_options() -> None:
    got = read(Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.2", id=5, ttl=9, flags="DF") /
               TCP(sport=1, dport=2, seq=7, ack=8, flags="SA", options=[("MSS", 1400)]) / b"hello")  # fmt: skip
    assert (got.link.source, got.link.target) == (A, B)
    assert got.ends == ("10.0.0.1", 1, "10.0.0.2", 2)
    assert (got.hops, got.ident, got.df, got.seq, got.ack, got.flags) == (9, 5, True, 7, 8, packets.SYN | packets.ACK)
    assert (got.size, got.payload) == (5, b"hello")


def test_ethernet_padding_is_no_payload() -> None:
    short = bytes(FRAME / IP() / UDP(sport=1, dport=2) / b"hi") + bytes(18)
    assert packets.frame(short).payload == b"hi"


@pytest.mark.parametrize("port", [4789, 8472, 6784, 12345])
def test_vxlan_is_known_on_any_port(port: int) -> None:
    got = read(FRAME / OUT / UDP(sport=5, dport=port) / VXLAN(vni=4096, flags=8) / Ether(src=A, dst=B) / INNER / SYN)
    assert (got.source, got.vni, got.innermost.ends) == ("172.18.0.2", 4096, ("10.244.1.2", 40000, "10.244.2.2", 80))
    assert got.inner.link.target == B
    assert got.innermost.seq == 0x6E6C0001


def test_udp_that_only_looks_a_little_like_vxlan_is_udp() -> None:
    assert read(FRAME / OUT / UDP(dport=4789) / (b"\x08\0\0\0\0\0\1\0" + b"x" * 30)).inner is None


def test_icmp_error_quotes_the_packet() -> None:
    got = read(FRAME / IP(src="10.244.1.1") / ICMP(type=3, code=4, nexthopmtu=1450) /
               IPerror(src="10.244.1.2", dst="10.244.2.2") / TCPerror(sport=3, dport=4, seq=9))  # fmt: skip
    assert got.is_error
    assert (got.mtu, got.about.target, got.about.dport, got.about.seq) == (1450, "10.244.2.2", 4, 9)


def test_icmpv6_too_big_quotes_the_packet() -> None:
    got = read(FRAME / IPv6(src="fd00::1") / ICMPv6PacketTooBig(mtu=1430) / IPv6(dst="fd00::9") / UDP(dport=53))
    assert got.is_error
    assert (got.mtu, got.about.target, got.about.dport) == (1430, "fd00::9", 53)


def test_ipv6_behind_extension_headers() -> None:
    base = FRAME / IPv6(src="fd00::1", dst="fd00::2", hlim=60)
    got = read(base / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / SYN)
    assert (got.version, got.hops, got.protocol, got.dport) == (6, 60, packets.TCP, 80)
    first = read(base / IPv6ExtHdrFragment(id=99, m=1, offset=0) / UDP(sport=1, dport=53) / b"x")
    assert (first.fragment, first.ident, first.dport) == (True, 99, 53)
    later = read(base / IPv6ExtHdrFragment(id=99, m=0, offset=100, nh=17) / b"rest")
    assert (later.fragment, later.offset, later.ports) == (True, 800, False)


def test_ping_of_both_families() -> None:
    four = read(FRAME / IP() / ICMP(id=3, seq=4) / b"data")
    six = read(FRAME / IPv6() / ICMPv6EchoRequest(id=3, seq=4, data=b"data"))
    for got in (four, six):
        assert got.is_echo
        assert (got.echo, got.payload) == ((3, 4), b"data")


def test_who_has_is_said_the_same_way_in_both_families() -> None:
    four = read(FRAME / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2", hwsrc=A))
    six = read(FRAME / IPv6(src="fd00::1") / ICMPv6ND_NS(tgt="fd00::2") / ICMPv6NDOptSrcLLAddr(lladdr=A))
    assert four.arp == packets.Arp(True, "10.0.0.2", "10.0.0.1", A)
    assert six.arp.asked == "fd00::2"
    assert (six.arp.request, six.arp.mac) == (True, A)
    assert read(FRAME / ARP(op=2, psrc="10.0.0.2", pdst="10.0.0.1", hwsrc=B)).arp.mac == B


def test_sctp_and_vlan() -> None:
    got = read(FRAME / Dot1Q(vlan=7) / INNER / SCTP(sport=1, dport=132, tag=0xABCD) / SCTPChunkInit())
    assert (got.link.vlan, got.protocol, got.dport, got.seq) == (7, packets.SCTP, 132, 0xABCD)


def test_headers_of_a_trace_event_are_enough() -> None:
    whole = bytes(INNER / SYN)
    got = packets.network(whole[:40])
    assert got.ends == ("10.244.1.2", 40000, "10.244.2.2", 80)
    assert (got.seq, got.ident, got.size) == (0x6E6C0001, 77, 0)


VALID = [
    bytes(FRAME / OUT / UDP(dport=4789) / VXLAN(vni=1, flags=8) / FRAME / INNER / SYN),
    bytes(FRAME / IPv6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment() / ICMPv6PacketTooBig() / IPv6() / UDP()),
    bytes(FRAME / IP() / ICMP(type=11) / IPerror() / TCPerror()),
    bytes(FRAME / ARP()),
]


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    packets.frame(data)
    packets.network(data)
    packets.network(data, data[:14])


@settings(max_examples=400)
@given(st.sampled_from(VALID), st.integers(0, 160), st.lists(st.tuples(st.integers(0, 159), st.integers(0, 255))))
def test_cut_and_altered_packets_do_not_raise(base: bytes, cut: int, changes: list[tuple[int, int]]) -> None:
    data = bytearray(base)
    for at, value in changes:
        if at < len(data):
            data[at] = value
    got = packets.frame(bytes(data[:cut]))
    assert len(list(got.layers)) <= 6
