"""Filters, run by an interpreter of the test's own over frames that scapy made."""

from __future__ import annotations

import re
import struct
from typing import Any

import pytest
from scapy.all import ARP, ICMP, IP, TCP, UDP, VXLAN, Ether, ICMPv6EchoRequest, IPv6

from netlab.errors import BadInput
from netlab.observe.capture.bpf import SNAP, TAKE_ALL, Program, inside_too, only_interfaces, packed
from netlab.observe.capture.filters import named
from netlab.observe.capture.libpcap import compiled

# Both addresses given: scapy would ask the network for those that are missing.
ETHERNET = Ether(src="0a:00:00:00:00:01", dst="0a:00:00:00:00:02")
OUTSIDE = Ether(src="0a:01:00:01:00:00", dst="0a:01:00:02:00:00")


def run(program: Program, frame: bytes, ifindex: int = 1) -> int:
    """What a program returns for a frame, as Documentation/networking/filter.rst says."""
    accumulator = index = 0
    memory: dict[int, int] = {}
    at = 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        kind, mode = code & 7, code & 0xE0
        if kind in (0, 1):
            size = {0: 4, 8: 2, 16: 1}[code & 0x18]
            if mode in (0x20, 0x40):
                place = k + (index if mode == 0x40 else 0)
                if place == 0xFFFFF008:
                    value = ifindex
                elif place + size > len(frame):
                    return 0
                else:
                    value = int.from_bytes(frame[place : place + size], "big")
            elif mode == 0xA0:
                if k >= len(frame):
                    return 0
                value = 4 * (frame[k] & 15)
            else:
                value = {0: k, 0x60: memory.get(k, 0), 0x80: len(frame)}[mode]
            accumulator, index = (value, index) if kind == 0 else (accumulator, value)
        elif kind in (2, 3):
            memory[k] = accumulator if kind == 2 else index
        elif kind == 4:
            by = index if code & 8 else k
            accumulator = {
                0x00: accumulator + by, 0x10: accumulator - by, 0x50: accumulator & by, 0x40: accumulator | by,
                0x60: accumulator << by, 0x70: accumulator >> by,
            }[code & 0xF0] & 0xFFFFFFFF  # fmt: skip
        elif kind == 5:
            by = index if code & 8 else k
            if code & 0xF0 == 0:
                at += k
            else:
                holds = {
                    0x10: accumulator == by, 0x20: accumulator > by, 0x30: accumulator >= by, 0x40: accumulator & by
                }[code & 0xF0]  # fmt: skip
                at += yes if holds else no
        elif kind == 6:
            return accumulator if code & 0x10 else k
        else:
            accumulator, index = (index, index) if code & 0x80 else (accumulator, accumulator)


def frames() -> dict[str, Any]:
    inside = {
        "ping": IP(src="10.244.1.2", dst="10.244.2.2") / ICMP(),
        "web": IP(src="10.244.1.2", dst="10.244.2.2") / TCP(sport=4000, dport=80, flags="S"),
        "dns": IP(src="10.244.1.2", dst="10.244.2.2", options=b"\1" * 4) / UDP(sport=4000, dport=53) / b"q",
        "ping6": IPv6(src="fd00::2", dst="fd00::3") / ICMPv6EchoRequest(),
        "web6": IPv6(src="fd00::2", dst="fd00::3") / TCP(sport=4000, dport=80, flags="S"),
    }
    return {name: ETHERNET / packet for name, packet in inside.items()}


def wrapped(frame: Any, port: int = 4789, v6: bool = False, **udp: Any) -> bytes:
    outer = IPv6(src="fd00:172::2", dst="fd00:172::3") if v6 else IP(src="172.18.0.2", dst="172.18.0.3")
    return bytes(OUTSIDE / outer / UDP(sport=50000, dport=port, **udp) / VXLAN(vni=1, flags=8) / frame)


EXPRESSIONS = {
    "icmp": {"ping"},
    "icmp6": {"ping6"},
    "tcp port 80": {"web", "web6"},
    "port 53": {"dns"},
    "host 10.244.2.2": {"ping", "web", "dns"},
    "src host 10.244.2.2": set(),
    "ip6": {"ping6", "web6"},
    "tcp[tcpflags] & tcp-syn != 0": {"web"},
    "ether src 0a:00:00:00:00:01 and udp": {"dns"},
    "host fd00::3 and tcp dst port 80": {"web6"},
}


@pytest.mark.parametrize(("expression", "wanted"), EXPRESSIONS.items())
def test_a_filter_holds_for_frames_and_for_those_inside_vxlan(expression: str, wanted: set[str]) -> None:
    plain = compiled(expression)
    both = inside_too(plain)
    for name, frame in frames().items():
        assert (run(plain, bytes(frame)) > 0) == (name in wanted) == (run(both, bytes(frame)) > 0), name
        for port in (4789, 8472, 6784):
            assert (run(both, wrapped(frame, port)) > 0) == (name in wanted), name
        over6 = run(both, wrapped(frame, v6=True)) > 0
        assert over6 == (name in wanted or expression == "ip6"), name


def test_what_is_no_vxlan_is_not_looked_into() -> None:
    program = inside_too(compiled("icmp"))
    ping = frames()["ping"]
    assert run(program, wrapped(ping)) == SNAP
    assert run(program, wrapped(ping, 4790)) == 0
    fragment = ETHERNET / IP(src="172.18.0.2", dst="172.18.0.3", frag=1) / UDP(dport=4789) / VXLAN(vni=1) / ping
    assert run(program, bytes(fragment)) == 0
    no_vni = bytearray(wrapped(ping))
    no_vni[42] = 0
    assert run(program, bytes(no_vni)) == 0
    for size in range(len(wrapped(ping))):  # frames that are cut, at every length
        assert run(program, wrapped(ping)[:size]) in (0, SNAP)


def test_the_tunnel_itself_can_be_asked_for() -> None:
    program = inside_too(compiled("udp port 4789"))
    assert run(program, wrapped(frames()["ping"])) == SNAP
    assert run(program, bytes(frames()["ping"])) == 0


@pytest.mark.parametrize("count", [1, 2, 300])
def test_only_the_interfaces_that_are_meant(count: int) -> None:
    program = only_interfaces(compiled("arp"), range(10, 10 + count))
    who_has = bytes(ETHERNET / ARP())
    for index in (1, 9, 10, 9 + count, 10 + count):
        assert (run(program, who_has, index) > 0) == (10 <= index < 10 + count)
        assert run(program, bytes(frames()["ping"]), index) == 0
    assert run(only_interfaces(TAKE_ALL, []), who_has) == 0


def test_the_kernels_form_and_its_limit() -> None:
    assert packed(TAKE_ALL) == struct.pack("=HBBI", 6, 0, 0, SNAP)
    with pytest.raises(BadInput, match="too long"):
        packed(TAKE_ALL * 5000)


@pytest.mark.parametrize("wrong", ["tcp prot 80", "port", "host 10.244.1.2 and", "ip proto 300 300", "bogus"])
def test_a_wrong_filter_is_told_in_libpcaps_words(wrong: str) -> None:
    with pytest.raises(
        BadInput, match=f"^{re.escape(f'the filter {wrong!r}: ')}.*(syntax error|can't|unknown|greater than)"
    ):
        compiled(wrong)


NAMES = {"client": ("10.244.1.2",), "shop/web": ("10.244.1.3", "fd00::3"), "svc/web": ("10.96.0.10",)}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("host client", "host 10.244.1.2"),
        ("host shop/web and port 80", "host (10.244.1.3 or fd00::3) and port 80"),
        ("src host client or dst shop/web", "src host 10.244.1.2 or dst (10.244.1.3 or fd00::3)"),
        ("not (host svc/web or client)", "not (host 10.96.0.10 or 10.244.1.2)"),
        ("host (client or svc/web)", "host (10.244.1.2 or 10.96.0.10)"),
        ("host 10.244.1.2 and icmp", "host 10.244.1.2 and icmp"),
        ("src or dst client", "src or dst 10.244.1.2"),
        ("src 10.244.0.0 or dst fd00::3", "src 10.244.0.0 or dst fd00::3"),
        ("ether host 0a:04:00:01:00:01", "ether host 0a:04:00:01:00:01"),
        ("src net 10.244.0.0/16 and dst port 80", "src net 10.244.0.0/16 and dst port 80"),
        ("host (client or 10.0.0.1) and not port 53", "host (10.244.1.2 or 10.0.0.1) and not port 53"),
        ("tcp[13] & 2 != 0", "tcp[13] & 2 != 0"),
        ("", ""),
    ],
)
def test_pods_and_services_have_names_in_filters(typed: str, meant: str) -> None:
    assert named(typed, NAMES.__getitem__) == meant
    if meant:
        compiled(meant)
