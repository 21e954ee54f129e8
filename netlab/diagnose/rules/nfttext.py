"""nftables rules as nft prints them: what a rule does to a packet, and whether it matches one.

``matches`` reads the usual matches (addresses, ports, protocols, interfaces, ICMP types); None: it cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address, ip_network

from netlab.values import dataclass
from netlab.wire import packets
from netlab.wire.packets import Packet


class Effect(StrEnum):
    """The effect of a rule on a packet that matches it."""

    DROP = "drop"
    TARGET = "target"
    SOURCE = "source"
    TTL = "ttl"
    TRACKING = "tracking"
    AWAY = "away"
    COPY = "copy"
    CONTENT = "content"
    MARK = "mark"


#: Statements in nft's syntax (or the targets of iptables), their effect, and a verb and a phrase around the packet.
_STATEMENTS: tuple[tuple[str, Effect, str, str], ...] = (
    (r"drop$|policy drop|: drop\b|xt target DROP", Effect.DROP, "dropped", ""),
    (r"reject\b|xt target REJECT", Effect.DROP, "rejected", ""),
    (r"dnat\b|redirect\b|xt target (DNAT|REDIRECT|NETMAP)", Effect.TARGET, "translated the target of", ""),
    (r"snat\b|masquerade\b|xt target (SNAT|MASQUERADE)", Effect.SOURCE, "translated the source of", ""),
    (r"(ip6? daddr|(tcp|udp|sctp|th) dport|ether daddr) set", Effect.TARGET, "rewrote the target of", ""),
    (r"(ip6? saddr|(tcp|udp|sctp|th) sport|ether saddr) set", Effect.SOURCE, "rewrote the source of", ""),
    (r"ip ttl set|xt target TTL", Effect.TTL, "set the time to live of", ""),
    (r"ip6 hoplimit set|xt target HL", Effect.TTL, "set the hop limit of", ""),
    (r"notrack\b|xt target NOTRACK", Effect.TRACKING, "took", " out of connection tracking"),
    (r"ct zone set|ct original zone set|ct reply zone set|xt target CT", Effect.TRACKING, "put",
     " in another zone of connection tracking"),
    (r"tproxy\b|xt target TPROXY", Effect.AWAY, "handed", " to a local socket (tproxy)"),
    (r"queue\b|xt target NFQUEUE", Effect.AWAY, "handed", " to a queue, for a program that may not exist"),
    (r"fwd\b", Effect.AWAY, "sent", " out of another device"),
    (r"synproxy\b|xt target SYNPROXY", Effect.AWAY, "answered", " in the name of its target (synproxy)"),
    (r"dup\b|xt target TEE", Effect.COPY, "sent a copy of", " elsewhere"),
    (r"(meta|ct) mark set|xt target (MARK|CONNMARK)", Effect.MARK, "marked", ""),
    (r"(@\S+|ip6? \S+|tcp \S+|udp \S+|sctp \S+|th \S+|icmp\S* \S+|ether \S+|tcp option \S+ \S+) set|reset tcp option",
     Effect.CONTENT, "changed", ""),
)  # fmt: skip
_COMMENT = re.compile(r' comment "[^"]*"$')


@dataclass(frozen=True, slots=True)
class Action:
    """An effect of a rule; ``phrase`` makes a sentence around a packet's name."""

    effect: Effect
    before: str
    after: str

    def phrase(self, packet: str) -> str:
        return f"{self.before} {packet}{self.after}"


@lru_cache(4096)  # a packet meets the same rules at each hop, and each traversal is read several times
def actions(text: str) -> tuple[Action, ...]:
    """The effects of a rule, without verdicts that let the packet pass."""
    statement = _COMMENT.sub("", text).replace('target "', "target ")
    seen: dict[Effect, Action] = {}
    for pattern, effect, before, after in _STATEMENTS:  # re compiles them at their first use: most traces need none
        pattern = rf"(?<![-\w])(?:{pattern})"
        if re.search(pattern, statement) and effect not in seen and not (effect is Effect.CONTENT and seen):
            seen[effect] = Action(effect, before, after)
    return tuple(seen.values())


# -- matches ----------------------------------------------------------------------------------------------------------

_VALUE = r'(?P<op>!= |== )?(?P<value>\{[^}]*\}|@\S+|"[^"]*"|\S+)'
_KEYS = (
    r"(?<![-\w.])(?P<key>ip6? (?:saddr|daddr|protocol|nexthdr|version|ttl|hoplimit)"
    r"|(?:tcp|udp|sctp|th) (?:sport|dport)|iifname|oifname|iif|oif|meta (?:l4proto|nfproto)|icmp(?:v6)? type) " + _VALUE
)
_PROTOCOLS = {"tcp": packets.TCP, "udp": packets.UDP, "icmp": packets.ICMP, "ipv6-icmp": packets.ICMP6,
              "icmpv6": packets.ICMP6, "sctp": packets.SCTP}  # fmt: skip
_TYPES = {"echo-reply": 0, "destination-unreachable": 3, "redirect": 5, "echo-request": 8, "time-exceeded": 11,
          "parameter-problem": 12}  # fmt: skip
_TYPES6 = {"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
           "echo-request": 128, "echo-reply": 129}  # fmt: skip


def matches(text: str, packet: Packet, iif: str = "", oif: str = "") -> bool | None:
    """Whether a rule matches a packet; None if a part of it cannot be judged.  ``iif``, ``oif``: "" if unknown."""
    certain: bool | None = True
    statement = _COMMENT.sub("", text)
    for match in re.finditer(_KEYS, statement):
        key, value = match["key"], match["value"]
        if value == "set":
            continue
        result = _holds(key, value, packet, iif, oif)
        if match["op"] == "!= " and result is not None:
            result = not result
        if result is False:
            return False
        certain = certain if result else None
    rest = re.sub(_KEYS, "", statement)
    return certain if not re.search(_OPEN, rest) else None


#: Matches that are not read here.
_OPEN = (
    r"(?<![-\w])(ct (?!\S+ set|\S+ zone set)|meta (?!\S+ set)|tcp flags|fib |limit |quota |@\S+ (?!set)|vmap|map "
    r"|ip6? \S+ (?!set|to )|numgen|jhash|symhash|socket|rt |exthdr|ether \S+ (?!set)|xt match)"
)


def _holds(key: str, value: str, packet: Packet, iif: str, oif: str) -> bool | None:
    family, _, word = key.rpartition(" ")
    if value.startswith("@"):
        return None
    if key in ("iifname", "iif", "oifname", "oif"):
        name = iif if key.startswith("iif") else oif
        return any(_named(each, name) for each in _values(value)) if name else None
    if family in ("ip", "ip6") and packet.version != (4 if family == "ip" else 6):
        return False
    if word in ("saddr", "daddr"):
        address = packet.source if word == "saddr" else packet.target
        return _any(value, lambda each: _within(address, each))
    if word in ("sport", "dport"):
        if family != "th" and packet.protocol != _PROTOCOLS[family]:
            return False
        port = packet.sport if word == "sport" else packet.dport
        return _any(value, lambda each: _between(port, each)) if packet.ports else None
    if key == "meta nfproto":
        return _any(value, lambda each: {"ipv4": 4, "ipv6": 6}.get(each) == packet.version)
    if word in ("l4proto", "protocol", "nexthdr"):
        return _any(value, lambda each: (_PROTOCOLS.get(each) or _number(each)) == packet.protocol)
    if word == "type":
        six = family == "icmpv6"
        if packet.protocol != (packets.ICMP6 if six else packets.ICMP):
            return False
        types = _TYPES6 if six else _TYPES
        return _any(value, lambda each: (types[each] if each in types else _number(each)) == packet.type)
    if word in ("ttl", "hoplimit"):
        return _any(value, lambda each: _between(packet.hops, each))
    return None


def _any(value: str, test: Callable[[str], bool]) -> bool | None:
    try:
        return any(test(each) for each in _values(value))
    except ValueError:
        return None


def _values(value: str) -> list[str]:
    return [each.strip().strip('"') for each in value.strip("{} ").split(",")]


def _named(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _number(text: str) -> int:
    return int(text, 0)


def _between(port: int, value: str) -> bool:
    low, _, high = value.partition("-")
    return _number(low) <= port <= _number(high or low)


def _within(address: str, value: str) -> bool:
    here = ip_address(address)
    low, dash, high = value.partition("-")
    if dash:
        first, last = ip_address(low), ip_address(high)
        return first.version == here.version and int(first) <= int(here) <= int(last)
    network = ip_network(value, strict=False)
    return here.version == network.version and here in network
