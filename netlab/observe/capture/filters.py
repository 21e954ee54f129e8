"""Names in filters: ``host client and port 80`` is about Pod client's addresses.  Pure.

libpcap would ask this host's resolver for a name, which knows no Pod; so names of the lab become addresses before it
sees them, and a name that the lab does not know is an error and no question to the outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netlab.errors import BadInput
from netlab.near import near

_TOKENS = re.compile(r"\s+|[()!]|[^\s()!]+")
_TAKES_NAME = frozenset(("host", "src", "dst", "gateway"))
_JOINS = frozenset(("and", "or", "&&", "||", "not", "!", "("))
# What is no address, no network and no number: 10.244, fd00::2, 10.0.0.0/8 and 0a:04:00:01:00:01 are.
_NAME = re.compile(r"(?![0-9a-fA-F:.]+(/\d+)?\Z)[A-Za-z0-9]([-A-Za-z0-9._/]*[A-Za-z0-9])?\Z")
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


def named(expression: str, names: Mapping[str, Sequence[str]]) -> str:
    """The expression with the lab's names replaced by their addresses.

    Raises BadInput where a name stands for a host that the lab does not have.
    """
    done: list[str] = []
    before: list[str] = []  # the words so far, without blanks
    for token in _TOKENS.findall(expression):
        if token.isspace():
            done.append(token)
            continue
        done.append(_address(token, before, names))
        before.append(token)
    return "".join(done)


def _address(token: str, before: Sequence[str], names: Mapping[str, Sequence[str]]) -> str:
    opened = [word for word in before if word != "("]
    last = opened[-1] if opened else ""
    if last in _JOINS and len(opened) > 1 and opened[-2] in names:  # `host client or server`
        wanted = token in names and token not in _WORDS
    else:
        wanted = last in _TAKES_NAME and token not in _WORDS and token not in _JOINS
        if last in ("host", "src", "dst") and len(opened) > 1 and opened[-2] in ("ether", "link"):
            wanted = False  # a MAC address follows
    if wanted and token in names:
        found = names[token]
        return found[0] if len(found) == 1 else f"({' or '.join(found)})"
    if wanted and _NAME.match(token):
        raise BadInput(
            f'the filter names "{token}", and no Pod, node, Service or host with an address is called that{near(token, names)}'
        )
    return token
