"""Rules' counters, by the comments of the rules: what policies allowed and denied.

Read by a dump of the rules of one table over netlink: a listing of a large ruleset by nft takes seconds, this about
10 us a rule.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Mapping

from netlab.kernel.host import netns as ns
from netlab.kernel.rtnetlink.socket import NETLINK_NETFILTER, NetlinkSocket, attr_dict, attrs, text

_GETRULE = 10 << 8 | 7  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETRULE
_INET = 1
_TABLE, _EXPRESSIONS, _USERDATA = 1, 4, 7  # NFTA_RULE_*
_EXPR_NAME, _EXPR_DATA = 1, 2
_PACKETS = 2  # NFTA_COUNTER_PACKETS


def read(table: str) -> dict[str, int]:
    """Packets by comment in an inet table of the namespace that the calling thread is in; of several rules, the sum."""
    name = table.encode() + b"\0"
    body = (
        struct.pack("=BBH", _INET, 0, 0) + struct.pack("=HH", 4 + len(name), _TABLE) + name + b"\0" * (-len(name) % 4)
    )
    counts: dict[str, int] = {}
    with NetlinkSocket(NETLINK_NETFILTER) as sock, contextlib.suppress(FileNotFoundError):  # no such table
        for _, payload in sock.dump(_GETRULE, body):
            rule = attr_dict(payload, 4)
            if _USERDATA not in rule or text(rule[_TABLE]) != table:
                continue
            if words := comment(bytes(rule[_USERDATA])):
                counts[words] = counts.get(words, 0) + _packets(rule[_EXPRESSIONS])
    return counts


def of_namespaces(table: str, netns: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
    """``read`` in each of some namespaces; those that are gone have nothing."""

    def look(name: str) -> dict[str, int]:
        try:
            with ns.inside(name):
                return read(table)
        except PermissionError:
            raise
        except OSError:
            return {}

    return ns.aside(lambda: {name: look(name) for name in netns})


def comment(data: bytes) -> str:
    """The comment among the attributes that nft keeps with a rule: one byte type, one byte length."""
    at = 0
    while at + 2 <= len(data):
        kind, size = data[at], data[at + 1]
        if kind == 0:
            return data[at + 2 : at + 2 + size].rstrip(b"\0").decode(errors="replace")
        at += 2 + size
    return ""


def _packets(expressions: memoryview) -> int:
    for _, element in attrs(expressions):
        parts = attr_dict(element)
        if text(parts[_EXPR_NAME]) == "counter":
            return int.from_bytes(attr_dict(parts[_EXPR_DATA])[_PACKETS], "big")
    return 0
