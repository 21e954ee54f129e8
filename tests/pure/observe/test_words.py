"""What a line says of a packet, and that strange bytes end nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.all import ARP, DNS, DNSQR, DNSRR, ICMP, IP, SCTP, TCP, UDP, VXLAN, Ether, ICMPv6EchoRequest, IPv6
from scapy.layers.sctp import SCTPChunkInit

from netlab.observe.capture.words import read, words

ETHERNET = Ether(src="0a:00:00:00:00:01", dst="0a:00:00:00:00:02")
AB = {"src": "10.244.1.2", "dst": "10.244.2.2"}
NAME = "web.default.svc.cluster.local."


@pytest.mark.parametrize(
    ("packet", "says"),
    [
        (IP(**AB) / TCP(sport=4000, dport=80, flags="S"), "SYN 10.244.1.2:4000 > 10.244.2.2:80 ttl 64"),
        (
            IP(**AB) / TCP(sport=4000, dport=80, flags="PA") / b"GET /x HTTP/1.1\r\nHost: web\r\n\r\n",
            "ACK 10.244.1.2:4000 > 10.244.2.2:80 30 bytes ttl 64  GET /x HTTP/1.1",
        ),
        (IP(**AB) / ICMP(id=7, seq=1) / bytes(56), "echo request 10.244.1.2 > 10.244.2.2 56 bytes ttl 64"),
        (IP(**AB) / UDP(sport=9, dport=9) / b"abc", "UDP 10.244.1.2:9 > 10.244.2.2:9 3 bytes ttl 64"),
        (IP(**AB) / UDP(sport=4000, dport=53) / DNS(qd=DNSQR(qname=NAME)), f"DNS A? {NAME}"),
        (
            IP(**AB)
            / UDP(sport=53, dport=4000)
            / DNS(qr=1, qd=DNSQR(qname=NAME), an=[DNSRR(rrname=NAME, rdata="10.96.0.80")]),
            f"DNS A {NAME} is 10.96.0.80",
        ),
        (
            IP(**AB) / UDP(sport=53, dport=4000) / DNS(qr=1, rcode=3, qd=DNSQR(qname=NAME)),
            f"DNS A {NAME}: no such name",
        ),
        (IP(**AB) / UDP(sport=53, dport=4000) / b"nothing that DNS would say", "UDP 10.244.1.2:53"),
        (IP(**AB) / SCTP(sport=5, dport=6, tag=1) / SCTPChunkInit(), "INIT"),
        (
            IP(**AB) / ICMP(type=3, code=3) / IP(src="10.244.2.2", dst="10.244.1.2") / UDP(sport=6, dport=7),
            "port unreachable 10.244.1.2 > 10.244.2.2 ttl 64, about UDP 10.244.2.2:6 > 10.244.1.2:7",
        ),
        (IPv6(src="fd00::2", dst="fd00::3") / ICMPv6EchoRequest(), "echo request fd00::2 > fd00::3 hlim 64"),
        (ARP(psrc="10.244.1.2", pdst="10.244.1.1"), "ARP who has 10.244.1.1? says 10.244.1.2"),
        (
            IP(src="172.18.0.2", dst="172.18.0.3")
            / UDP(dport=4789)
            / VXLAN(vni=1, flags=8)
            / ETHERNET
            / IP(**AB)
            / ICMP(),
            "VXLAN 1 172.18.0.2 > 172.18.0.3 port 4789 ttl 64 [echo request 10.244.1.2 > 10.244.2.2 ttl 64]",
        ),
    ],
)
def test_a_packet_in_words(packet: Any, says: str) -> None:
    assert says in words(read(bytes(ETHERNET / packet)))


@given(st.binary(max_size=150), st.booleans())
def test_any_bytes_are_said_somehow(data: bytes, ethernet: bool) -> None:
    assert words(read(data, ethernet))
