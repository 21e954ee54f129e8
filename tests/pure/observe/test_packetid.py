"""The number of a packet is the same on every hop, and another one for another packet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.all import ARP, ICMP, IP, TCP, UDP, VXLAN, Ether, ICMPv6EchoRequest, IPv6, Raw, fragment

from netlab.observe.packetid import packet_id

CLIENT, SERVER, SERVICE = "10.244.1.2", "10.244.2.2", "10.96.0.10"


def ethernet(packet: Any, source: str = "0a:00:00:00:00:01") -> Any:
    return Ether(src=source, dst="0a:00:00:00:00:02") / packet


def number(packet: Any) -> int:
    return packet_id(bytes(packet))


def wrapped(frame: Any, port: int) -> Any:
    return ethernet(IP(src="172.18.0.2", dst="172.18.0.3", id=77) / UDP(sport=50000, dport=port) / VXLAN(vni=1) / frame)


def bodies(sport: int = 40000, dport: int = 80) -> dict[str, Any]:
    return {
        "tcp": TCP(sport=sport, dport=dport, seq=0xDEADBEEF, ack=7, flags="PA") / b"GET /",
        "udp": UDP(sport=sport, dport=dport) / b"a question",
        "ping": ICMP(id=9, seq=1) / b"payload",
    }


@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
@pytest.mark.parametrize("port", [4789, 8472, 6784])
def test_routers_translators_and_tunnels_change_nothing(kind: str, port: int) -> None:
    sent = ethernet(IP(src=CLIENT, dst=SERVICE, id=4711, ttl=64) / bodies()[kind])
    arrived = ethernet(
        IP(src="10.244.1.1", dst=SERVER, id=4711, ttl=62) / bodies(61000, 8080)[kind], "0a:00:00:00:00:09"
    )
    assert number(sent) == number(arrived) == number(wrapped(arrived, port))
    assert packet_id(bytes(sent)[14:], ethernet=False) == number(sent)


def test_other_packets_have_other_numbers() -> None:
    every = [ethernet(IP(src=CLIENT, dst=SERVER, id=1) / body) for body in bodies().values()]
    every += [ethernet(IP(src=CLIENT, dst=SERVER, id=1) / TCP(seq=seq, flags="S")) for seq in range(50)]
    every += [ethernet(IP(src=CLIENT, dst=SERVER, id=mark) / TCP(seq=9, flags="S")) for mark in range(2, 52)]
    every += [ethernet(IP(src=CLIENT, dst=SERVER, id=1) / ICMP(id=3, seq=seq)) for seq in range(50)]
    every += [ethernet(IP(src=CLIENT, dst=SERVER, id=1) / ICMP(type=0, id=3, seq=1))]
    every += [ethernet(IPv6(src="fd00::2", dst="fd00::3") / ICMPv6EchoRequest(id=3, seq=seq)) for seq in range(50)]
    every += [ethernet(ARP(pdst=f"10.244.1.{last}")) for last in range(50)]
    big = IP(src=CLIENT, dst=SERVER, id=5) / UDP(sport=1, dport=2) / Raw(b"x" * 3000)
    every += [ethernet(piece) for piece in fragment(big, fragsize=1000)]
    assert len({number(one) for one in every}) == len(every)


def test_the_same_ipv6_packet_behind_a_service() -> None:
    sent = ethernet(IPv6(src="fd00::2", dst="fd00::10", hlim=64) / TCP(sport=1, dport=80, seq=5, flags="S"))
    arrived = ethernet(IPv6(src="fd00::2", dst="fd00::3", hlim=62) / TCP(sport=1, dport=8080, seq=5, flags="S"))
    assert number(sent) == number(arrived)


def test_an_error_is_the_same_when_what_it_quotes_is_translated_back() -> None:
    quoted = [IP(src=src, dst=dst, id=3) / UDP(sport=5, dport=6) for src, dst in ((CLIENT, SERVER), (CLIENT, SERVICE))]
    one, other = (ethernet(IP(src=SERVER, dst=CLIENT, id=8) / ICMP(type=3, code=3) / inner) for inner in quoted)
    assert number(one) == number(other)


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_have_a_number(data: bytes, is_ethernet: bool) -> None:
    assert 0 <= packet_id(data, is_ethernet) < 2**64


@given(st.sampled_from(list(bodies())), st.integers(0, 120))
def test_a_packet_that_is_cut_has_a_number(kind: str, size: int) -> None:
    frame = bytes(wrapped(ethernet(IP(src=CLIENT, dst=SERVER) / bodies()[kind]), 4789))
    assert 0 <= packet_id(frame[:size]) < 2**64
