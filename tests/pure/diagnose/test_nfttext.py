"""Rules in nft's words: their effects on a packet, and whether they match one."""

from __future__ import annotations

import pytest

from netlab.diagnose.rules.nfttext import Effect, actions, matches
from netlab.kernel.nftables.listing import Row, parse
from netlab.wire.packets import ICMP, TCP, Packet

SYN = Packet(
    version=4, source="10.244.1.2", target="10.244.2.2", protocol=TCP, hops=64, ports=True, sport=999, dport=80
)
ERROR = Packet(version=4, source="10.244.1.1", target="10.244.1.2", protocol=ICMP, type=3, code=4)


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("ip daddr 10.244.2.2 tcp dport 80 dnat to 10.244.1.3:80", [Effect.TARGET]),
        ("tcp dport 80 redirect to :9", [Effect.TARGET]),
        ("ip daddr 10.244.2.2 ip daddr set 10.244.2.99", [Effect.TARGET]),
        ('oifname "cni0" masquerade', [Effect.SOURCE]),
        ("ip protocol tcp ip ttl set 1", [Effect.TTL]),
        ("ip6 hoplimit set 1", [Effect.TTL]),
        ("counter xt target TTL", [Effect.TTL]),
        ('counter xt target "CT"', [Effect.TRACKING]),
        ("tcp dport 80 notrack", [Effect.TRACKING]),
        ("ct zone set 5", [Effect.TRACKING]),
        ("meta mark set 0x00000005", [Effect.MARK]),
        ("tcp dport 80 tproxy to :99 meta mark set 0x1 accept", [Effect.AWAY, Effect.MARK]),
        ("tcp dport vmap { 80 : drop }", [Effect.DROP]),
        ('tcp dport 80 drop comment "masquerade"', [Effect.DROP]),
        ("ip dscp set cs1", [Effect.CONTENT]),
        ("@th,16,16 set 0x63", [Effect.CONTENT]),
        ("tcp dport 80 dup to 10.244.1.3", [Effect.COPY]),
        ("ct state established,related accept", []),
        ("ip ttl 1 counter", []),
        ('tcp dport 80 accept comment "ttl set"', []),
    ],
)
def test_effects_of_a_rule(text: str, effects: list[Effect]) -> None:
    assert [action.effect for action in actions(text)] == effects


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("tcp dport 80-90 drop", True),
        ("tcp dport { 79, 80 } drop", True),
        ("udp dport 80 drop", False),
        ("ip daddr != 10.0.0.0/8 drop", False),
        ("ip daddr 10.244.2.1-10.244.2.9 drop", True),
        ("ip6 daddr fd00::1 drop", False),
        ('iifname "cni*" drop', True),
        ('iifname "eth0" drop', False),
        ('oifname "eth0" drop', None),
        ("meta l4proto { tcp, udp } th dport 80 drop", True),
        ("ip daddr @blocked drop", None),
        ("ct state new drop", None),
        ("tcp flags & (syn | ack) == syn drop", None),
        ("icmp type destination-unreachable drop", False),
        ("drop", True),
    ],
)
def test_a_rule_matches_a_packet(text: str, result: bool | None) -> None:
    assert matches(text, SYN, "cni0") is result


def test_a_rule_matches_an_icmp_error() -> None:
    assert matches("icmp type { destination-unreachable, time-exceeded } drop", ERROR) is True
    assert matches("icmp type echo-request drop", ERROR) is False


LISTING = """table netdev fw { # handle 3
\tset s {
\t\ttype ipv4_addr
\t}

\tchain c { # handle 1
\t\ttype filter hook ingress devices = { d0, "d1" } priority -5; policy drop;
\t\tip daddr @s tcp dport { 80, 443 } counter drop comment "hi" # handle 5
\t\tjump other # handle 6
\t}

\tchain other { # handle 2
\t\treturn # handle 7
\t}
}
"""


def test_a_listing_has_hooks_devices_and_handles() -> None:
    assert list(parse(LISTING)) == [
        Row("c", 0, "policy drop", "ingress", -5, ("d0", "d1")),
        Row("c", 5, 'ip daddr @s tcp dport { 80, 443 } counter drop comment "hi"', "ingress", -5, ("d0", "d1")),
        Row("c", 6, "jump other", "ingress", -5, ("d0", "d1")),
        Row("other", 7, "return", "", 0, ()),
    ]
