"""Names in filters: ``host client and port 80`` matches the addresses of Pod client.  Pure.

libpcap would look a name up with this host's resolver, which knows no Pod.  So names of the lab are replaced by their
addresses first.  A name that the lab does not have is an error, and is never looked up outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from netlab.errors import BadInput

_TOKENS = re.compile(r"\s+|[()!]|[^\s()!]+")
_TAKES_NAME = frozenset(("host", "src", "dst", "gateway"))
_JOINS = frozenset(("and", "or", "&&", "||", "not", "!", "("))
# Not an address, a network or a number, as 10.244, fd00::2, 10.0.0.0/8 and 0a:04:00:01:00:01 are.
_NAME = re.compile(r"(?![0-9a-fA-F:.]+(/\d+)?\Z)[A-Za-z0-9]([-A-Za-z0-9._/=]*[A-Za-z0-9])?\Z")
_WORDS = frozenset(
    [
        "host",
        "net",
        "port",
        "portrange",
        "proto",
        "protochain",
        "mask",
        "gateway",
        "src",
        "dst",
        "and",
        "or",
        "not",
        "inbound",
        "outbound",
        "ether",
        "link",
        "ip",
        "ip6",
        "arp",
        "rarp",
        "tcp",
        "udp",
        "icmp",
        "icmp6",
        "sctp",
        "igmp",
        "broadcast",
        "multicast",
        "less",
        "greater",
        "vlan",
        "mpls",
        "pppoes",
        "geneve",
        "iso",
        "stp",
        "ah",
        "esp",
        "pim",
        "vrrp",
    ]
)


def named(expression: str, addresses: Callable[[str], Sequence[str]]) -> str:
    """The expression with the lab's names replaced by their addresses.

    Raises BadInput, as ``addresses`` does, for a name that the lab does not have.
    """
    parts: list[str] = []
    before: list[str] = []  # the words so far, without blanks and opening brackets
    names: set[str] = set()
    for token in _TOKENS.findall(expression):
        text = token
        if not token.isspace() and _is_name(token, before, names) and (meant := _addresses(token, addresses)):
            names.add(token)
            text = meant[0] if len(meant) == 1 else f"({' or '.join(meant)})"
        parts.append(text)
        if not token.isspace() and token != "(":
            before.append(token)
    return "".join(parts)


def _is_name(token: str, before: Sequence[str], names: Collection[str]) -> bool:
    """Whether a word stands where libpcap expects a host."""
    if token in _WORDS or token in _JOINS or not before:
        return False
    *_, second, last = ("", *before)
    if last in _JOINS and second in names:  # `host client or server`
        return True
    if last in ("host", "src", "dst") and second in ("ether", "link"):
        return False  # a MAC address follows
    return last in _TAKES_NAME


def _addresses(token: str, addresses: Callable[[str], Sequence[str]]) -> Sequence[str]:
    """The addresses of a name; none for a word that is an address or a number."""
    if _NAME.match(token):
        return addresses(token)
    if not token.isalpha():
        return ()
    try:
        return addresses(token)  # "db" is a Pod's name, and a hexadecimal number
    except BadInput:
        return ()
