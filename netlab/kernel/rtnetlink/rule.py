"""Rules of policy routing.  Numbers are those of linux/fib_rules.h.

netlab makes none; it expects the kernel's own.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from functools import lru_cache

from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr_dict, attr_u32, text
from netlab.kernel.rtnetlink.values import FAMILIES
from netlab.objects import Rule, Verb
from netlab.objects.host import RULES

_HEADER = struct.Struct("=BBBBBBBBI")
_NEWRULE, _DELRULE = 32, 33
_FRA = {1: "to", 2: "from", 3: "iif", 17: "oif"}
_FRA_GOTO, _FRA_PRIORITY, _FRA_FWMARK, _FRA_SUPPRESS, _FRA_TABLE, _FRA_FWMASK, _FRA_L3MDEV = 4, 6, 10, 14, 15, 16, 19
_FRA_UIDRANGE, _FRA_IP_PROTO, _FRA_SPORT, _FRA_DPORT = 20, 22, 23, 24
_ACTIONS = {2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_INVERT = 2
_TABLES = {253: "default", 254: "main", 255: "local"}


class RuleCodec(Codec[Rule]):
    """Foreign rules.  ``read`` also notes which of the kernel's own are missing, and the tables that foreign ones lead to."""

    DUMP, SELECT = 34, _HEADER.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)

    def encode(self, obj: Rule, verb: Verb, handle: Handle) -> Request:
        """Remove a rule."""
        return _DELRULE, 0, obj.raw

    def read(self, sock: NetlinkSocket, dump: NamespaceDump) -> list[Rule]:
        try:
            parts = sock.dump(self.DUMP, self.SELECT)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EINVAL):
                return []  # a kernel without policy routing
            raise
        foreign, lacks, dump.tables = _sorted(tuple(bytes(payload) for _, payload in parts))
        dump.lacks += lacks
        return [Rule(dump.netns, *fields) for fields in foreign]


@lru_cache(256)
def _sorted(parts: tuple[bytes, ...]) -> tuple[tuple[tuple[bool, str, bytes], ...], tuple[str, ...], frozenset[int]]:
    """Foreign rules, missing ones, foreign tables.  Cached: nearly all namespaces have the same rules."""
    present: set[str] = set()
    foreign, tables = [], set()
    for payload in parts:
        if payload[0] not in FAMILIES:
            continue  # multicast routing has rules of its own
        words, table = _decode(payload)
        v6 = payload[0] == socket.AF_INET6
        own = f"{'-6 ' if v6 else ''}rule {words}"
        if own in RULES:
            present.add(own)
        elif words:
            foreign.append((v6, words, payload))
            if table not in _TABLES and table:
                tables.add(table)
    # A family without any rule is absent from this kernel.
    families = {own.startswith("-6") for own in present} | {v6 for v6, _, _ in foreign}
    lacks = tuple(own for own in RULES if own not in present and own.startswith("-6") in families)
    return tuple(foreign), lacks, frozenset(tables)


def _decode(payload: Payload) -> tuple[str, int]:
    """ip-rule's words and the table; no words for the one that the kernel makes for VRFs."""
    family, dst_len, src_len, tos, table, _, _, action, flags = _HEADER.unpack_from(payload)
    at = attr_dict(payload, 12)
    if _FRA_L3MDEV in at and at[_FRA_L3MDEV][0]:
        return "", 0
    number: Callable[[int], int] = lambda kind: struct.unpack("=I", at[kind])[0] if kind in at else 0  # noqa: E731
    table = number(_FRA_TABLE) or table
    words = ["not"] if flags & _INVERT else []
    words += [f"pref {number(_FRA_PRIORITY)}"]
    for kind, length in ((2, src_len), (1, dst_len)):
        if kind in at:
            words.append(f"{_FRA[kind]} {socket.inet_ntop(family, bytes(at[kind]))}/{length}")
    words += [f"tos {tos:#x}"] if tos else []
    if _FRA_FWMARK in at or number(_FRA_FWMASK):
        mask = number(_FRA_FWMASK)
        words.append(f"fwmark {number(_FRA_FWMARK):#x}" + (f"/{mask:#x}" if mask != 0xFFFFFFFF else ""))
    words += [f"{_FRA[kind]} {text(at[kind])}" for kind in (3, 17) if kind in at]
    if _FRA_UIDRANGE in at:
        words.append("uidrange {}-{}".format(*struct.unpack("=II", at[_FRA_UIDRANGE])))
    words += [f"ipproto {at[_FRA_IP_PROTO][0]}"] if _FRA_IP_PROTO in at else []
    for kind, word in ((_FRA_SPORT, "sport"), (_FRA_DPORT, "dport")):
        if kind in at:
            words.append("{} {}-{}".format(word, *struct.unpack("=HH", at[kind])))
    if action == 1:
        words.append(f"lookup {_TABLES.get(table, str(table))}")
    else:
        words.append(_ACTIONS.get(action, f"action {action}") + (f" {number(_FRA_GOTO)}" if action == 2 else ""))
    if _FRA_SUPPRESS in at and number(_FRA_SUPPRESS) != 0xFFFFFFFF:
        words.append(f"suppress_prefixlength {number(_FRA_SUPPRESS)}")
    return " ".join(words), table


def restore(own: str) -> Request:
    """The request that restores one of the kernel's own rules (a key of ``RULES``)."""
    pref, table = RULES[own]
    family = socket.AF_INET6 if own.startswith("-6") else socket.AF_INET
    body = _HEADER.pack(family, 0, 0, 0, table, 0, 0, 1, 0)
    return _NEWRULE, 0x600, body + attr_u32(_FRA_PRIORITY, pref) + attr_u32(_FRA_TABLE, table)
