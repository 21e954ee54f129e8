"""Packets inside Geneve and IPIP are found and numbered as plain packets are; devices without Ethernet headers too."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.all import ICMP, IP, TCP, UDP, Ether, ICMPv6EchoRequest, IPv6
from scapy.contrib.geneve import GENEVE

from netlab.observe.capture.bpf import SNAP, inside_too
from netlab.observe.capture.libpcap import compiled
from netlab.observe.packetid import packet_id
from netlab.observe.trace.mark import Mark, concerns
from netlab.wire import packets
from tests.pure.observe.test_bpf import run
from tests.pure.observe.test_mark import Sieve

ISN = 0x41424344
OUTSIDE = Ether(src="0a:01:00:01:00:00", dst="0a:01:00:02:00:00")
OUTER = {False: IP(src="172.18.0.2", dst="172.18.0.3"), True: IPv6(src="fd00:172::2", dst="fd00:172::3")}
SYN = TCP(sport=40000, dport=80, seq=ISN, flags="S")
PODS = {False: IP(src="10.244.1.2", dst="10.244.2.2", id=7), True: IPv6(src="fd00:10:244:1::2", dst="fd00:10:244:2::2")}
FRAME = Ether(src="0a:04:00:01:00:01", dst="0a:02:00:01:00:00")


def geneve(frame: Any, v6: bool = False) -> bytes:
    # 0x6558: an Ethernet frame is inside
    return bytes(OUTSIDE / OUTER[v6] / UDP(sport=50000, dport=6081, chksum=0) / GENEVE(vni=1, proto=0x6558) / frame)


def ipip(packet: Any) -> bytes:
    return bytes(OUTSIDE / OUTER[False] / packet)


@pytest.mark.parametrize("v6", [False, True])
def test_the_inner_packet_of_every_tunnel_is_read(v6: bool) -> None:
    packet = PODS[v6] / SYN
    read = packets.frame(geneve(FRAME / packet, v6))
    assert (read.tunnel, read.vni, read.overhead) == ("Geneve", 1, 70 if v6 else 50)
    assert read.innermost.ends == (packet.src, 40000, packet.dst, 80)
    with_options = bytes(
        OUTSIDE / OUTER[v6] / UDP(dport=6081) / (b"\x02\x40\x65\x58\0\0\x07\0" + bytes(8)) / FRAME / packet
    )
    assert (packets.frame(with_options).vni, packets.frame(with_options).innermost.dport) == (7, 80)
    if not v6:
        read = packets.frame(ipip(packet))
        assert (read.tunnel, read.vni, read.overhead, read.ports) == ("IPIP", None, 20, False)
        assert read.innermost.ends == (packet.src, 40000, packet.dst, 80)
    assert packets.read(bytes(packet), bare=True).ends == (packet.src, 40000, packet.dst, 80)


def test_what_is_cut_or_no_tunnel_raises_nothing() -> None:
    for whole in (geneve(FRAME / PODS[False] / SYN), ipip(PODS[False] / SYN)):
        for size in range(len(whole)):
            packets.frame(whole[:size])
            packet_id(whole[:size])
    assert packets.frame(ipip(IP() / IP() / IP() / IP() / IP() / IP() / UDP())).inner is not None
    assert packets.frame(bytes(OUTSIDE / OUTER[False] / UDP(dport=6081) / b"not Geneve, text")).inner is None


def test_of_wireguard_the_header_alone_is_read() -> None:
    def read(payload: bytes, **ports: int) -> str:
        return packets.frame(bytes(OUTSIDE / OUTER[False] / UDP(**ports) / payload)).sealed

    data = b"\x04\0\0\0" + (0x1234).to_bytes(4, "little") + (5).to_bytes(8, "little") + bytes(112)
    assert read(data, sport=51820, dport=51820) == "WireGuard data, receiver 0x00001234, counter 5, 96 bytes encrypted"
    assert read(b"\x01\0\0\0" + bytes(144), sport=51820, dport=51820) == "WireGuard handshake initiation"
    assert read(b"\x02\0\0\0" + bytes(88), sport=9, dport=51821) == "WireGuard handshake response"
    assert read(b"\x01\0\0\0" + bytes(9), sport=51820, dport=51820) == ""
    assert read(data, sport=4000, dport=4001) == ""


@pytest.mark.parametrize("v6", [False, True])
def test_the_traced_packet_is_found_in_every_tunnel(v6: bool) -> None:
    sieve, mark = Sieve(Mark("TCP", ISN, v6=v6)), Mark("TCP", ISN, v6=v6)
    other = TCP(sport=40000, dport=80, seq=5, flags="S")
    try:
        for segment, passes in ((SYN, True), (other, False)):
            packet = PODS[v6] / segment
            assert sieve.lets(bytes(packet)) is passes, "at a device without Ethernet headers"
            for outer in (False, True):
                assert sieve.lets(geneve(FRAME / packet, outer)) is passes
                assert concerns(mark, geneve(FRAME / packet, outer)[14:]) is passes
            if not v6:
                assert sieve.lets(ipip(packet)) is passes
                assert concerns(mark, ipip(packet)[14:]) is passes
        assert not sieve.lets(b"\x12" + bytes(60))
    finally:
        sieve.close()


@pytest.mark.parametrize("body", [SYN, UDP(sport=5, dport=53) / b"a question", ICMP(id=9, seq=1) / b"payload"])
def test_a_packet_has_one_number_in_and_out_of_tunnels(body: Any) -> None:
    packet = PODS[False] / body
    plain = packet_id(bytes(FRAME / packet))
    assert packet_id(geneve(FRAME / packet)) == packet_id(geneve(FRAME / packet, True)) == plain
    assert packet_id(ipip(packet)) == plain
    assert packet_id(bytes(packet), ethernet=False) == plain


EXPRESSIONS = {
    "icmp": {"ping"},
    "icmp6": {"ping6"},
    "tcp port 80": {"web", "web6"},
    "dst host 10.244.2.2": {"ping", "web"},
    "ip6": {"ping6", "web6"},
    "tcp[tcpflags] & tcp-syn != 0": {"web"},
}
INSIDE = {
    "ping": PODS[False] / ICMP(),
    "web": PODS[False] / SYN,
    "ping6": PODS[True] / ICMPv6EchoRequest(),
    "web6": PODS[True] / SYN,
}


@pytest.mark.parametrize(("expression", "wanted"), EXPRESSIONS.items())
def test_a_filter_holds_inside_geneve_and_ipip_and_at_bare_devices(expression: str, wanted: set[str]) -> None:
    plain = compiled(expression)
    both, bare = inside_too(plain), inside_too(plain, bare=True)
    for name, packet in INSIDE.items():
        assert (run(both, geneve(FRAME / packet)) > 0) == (name in wanted), name
        assert (run(bare, geneve(FRAME / packet)) > 0) == (name in wanted), name
        assert (run(bare, bytes(FRAME / packet)) > 0) == (name in wanted), name
        assert (run(bare, bytes(packet)) > 0) == (name in wanted), name
        if "6" not in name:
            assert (run(bare, ipip(packet)) > 0) == (name in wanted), name
            assert run(bare, ipip(packet)[:60]) in (0, SNAP)
