"""``trace --packet``: an expression is parsed and never evaluated, and scapy is never made to ask the network."""

from __future__ import annotations

import socket

import pytest

from netlab.errors import BadInput
from netlab.observe.trace.expression import parse


def test_layers_with_literal_arguments_become_the_packet() -> None:
    packet = parse('IP(dst="10.244.2.2",ttl=3)/TCP(dport=80,flags="SA",options=[("MSS",536)])/b"abc"')
    assert packet.summary().startswith("IP / TCP")
    assert (packet.dst, packet.ttl, packet.dport, bytes(packet.lastlayer())) == ("10.244.2.2", 3, 80, b"abc")


def test_layers_may_be_arguments() -> None:
    packet = parse('IP(dst="10.244.2.2",options=[IPOption_RR(routers=["0.0.0.0"])])/UDP(dport=9)')
    assert packet.options[0].routers == ["0.0.0.0"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('__import__("os").system("id")', "only layers"),
        ('IP(dst="10.0.0.1")/open("/etc/passwd")', "no layer open"),
        ('IP(dst=open("/etc/passwd"))', "no layer open"),
        ('IP(dst=[x for x in "ab"])', "an argument must be"),
        ('IP(dst="10.0.0.1", **{"ttl": 1})', "no field None"),
        ('IP(dst="10.0.0.1")/TPC(dport=80)', 'column 20: scapy has no layer TPC (did you mean "TCP"'),
        ('IP(dst="10.0.0.1")/TCP(port=80)', "TCP has no field port (did you mean"),
        ('IP("10.0.0.1")', "need their names"),
        ('IP(dst="10.0.0.1")/TCP(dport="x")', "TCP cannot have these values"),
        ('IP(dst="www.example.com")/TCP()', 'dst="www.example.com" is no single address'),
        ('IPv6(dst="www.example.com")/TCP()', "is no single address"),
        ('IP(dst="10.0.0.0/24")/TCP()', 'dst="10.0.0.0/24" is no single address'),
        ('IP(src="gateway",dst="10.0.0.1")/TCP()', 'src="gateway" is no single address'),
        ("TCP(dport=80)", "needs an IP or IPv6 layer with dst"),
        ("IP()/TCP(dport=80)", "needs an IP or IPv6 layer with dst"),
        ('Ether()/IP(dst="10.0.0.1")/TCP()', "Ethernet needs dst, the MAC of the next hop"),
        ("IP(dst=", "this is no expression of layers"),
        ("", "this is no expression of layers"),
        ("(" * 500, "this is no expression of layers"),
        ("\0", "this is no expression of layers"),
    ],
)
def test_everything_else_is_bad_input_and_asks_no_name_server(
    text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a name was looked up")

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        monkeypatch.setattr(socket, name, refuse)
    with pytest.raises(BadInput) as refusal:
        parse(text)
    assert words in str(refusal.value)
