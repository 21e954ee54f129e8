"""What steers packets before or beside routes and links: rules, qdiscs on the way in, IPsec policies.

netlab makes none of them; the kernel's own rules it expects.  Each costs one request a namespace.  Numbers are those of
linux/fib_rules.h, pkt_sched.h and xfrm.h.

Limits: IPsec policies cost a socket too, so Pods are not asked for theirs (4 % of reading a lab of 1,000).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache

from netlab.kernel.rtnetlink import requests as rtnl
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr_dict, attr_u32, text
from netlab.objects import Qdisc, Rule, XfrmPolicy
from netlab.objects.host import RULES

NEWRULE, DELRULE, GETRULE = 32, 33, 34
_FRA = {1: "to", 2: "from", 3: "iif", 17: "oif"}
_FRA_GOTO, _FRA_PRIORITY, _FRA_FWMARK, _FRA_SUPPRESS, _FRA_TABLE, _FRA_FWMASK, _FRA_L3MDEV = 4, 6, 10, 14, 15, 16, 19
_FRA_UIDRANGE, _FRA_IP_PROTO, _FRA_SPORT, _FRA_DPORT = 20, 22, 23, 24
_ACTIONS = {2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_INVERT = 2
TABLES = {253: "default", 254: "main", 255: "local"}


def rules(sock: NetlinkSocket, netns: str) -> tuple[list[Rule], list[str], frozenset[int]]:
    """Foreign rules; which of the kernel's own are missing; the tables that foreign ones lead to."""
    try:
        parts = sock.dump(GETRULE, struct.pack("=BBBBBBBBI", 0, 0, 0, 0, 0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EINVAL):
            return [], [], frozenset()  # a kernel without policy routing
        raise
    foreign, lacks, tables = _told(tuple(bytes(payload) for _, payload in parts))
    return [Rule(netns, *one) for one in foreign], list(lacks), tables


@lru_cache(256)
def _told(parts: tuple[bytes, ...]) -> tuple[tuple[tuple[bool, str, bytes], ...], tuple[str, ...], frozenset[int]]:
    """Nearly all namespaces have the same rules."""
    seen: set[str] = set()
    found, tables = [], set()
    for payload in parts:
        if payload[0] not in (socket.AF_INET, socket.AF_INET6):
            continue  # multicast routing has rules of its own
        says, table = _rule(payload)
        v6 = payload[0] == socket.AF_INET6
        own = f"{'-6 ' if v6 else ''}rule {says}"
        if own in RULES:
            seen.add(own)
        elif says:
            found.append((v6, says, payload))
            if table not in TABLES and table:
                tables.add(table)
    # A family without any rule is one that this kernel has not.
    families = {one.startswith("-6") for one in seen} | {v6 for v6, _, _ in found}
    lacks = tuple(one for one in RULES if one not in seen and one.startswith("-6") in families)
    return tuple(found), lacks, frozenset(tables)


def _rule(payload: bytes) -> tuple[str, int]:
    """ip-rule's words and the table; no words for the one that the kernel makes for VRFs."""
    family, dst_len, src_len, tos, table, _, _, action, flags = struct.unpack_from("=BBBBBBBBI", payload)
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
        words.append(f"lookup {TABLES.get(table, str(table))}")
    else:
        words.append(_ACTIONS.get(action, f"action {action}") + (f" {number(_FRA_GOTO)}" if action == 2 else ""))
    if _FRA_SUPPRESS in at and number(_FRA_SUPPRESS) != 0xFFFFFFFF:
        words.append(f"suppress_prefixlength {number(_FRA_SUPPRESS)}")
    return " ".join(words), table


def give_rule(what: str) -> rtnl.Request:
    """Make one of the kernel's own rules anew (a key of ``RULES``)."""
    pref, table = RULES[what]
    family = socket.AF_INET6 if what.startswith("-6") else socket.AF_INET
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, table, 0, 0, 1, 0)
    return NEWRULE, 0x600, body + attr_u32(_FRA_PRIORITY, pref) + attr_u32(_FRA_TABLE, table)


def del_rule(rule: Rule) -> rtnl.Request:
    """Take a rule away."""
    return DELRULE, 0, rule.raw


_DELQDISC, _GETQDISC = 37, 38
_TCMSG = struct.Struct("=BxxxiIII")
_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
_NO_QDISC = ("noqueue", "noop")


def qdiscs(sock: NetlinkSocket, netns: str, names: Mapping[int, str]) -> list[Qdisc]:
    """The qdiscs that somebody set: root ones, clsact and ingress.  The kernel's own default has the handle 0."""
    found = []
    for _, payload in sock.dump(_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0)):
        _, index, handle, parent, _ = _TCMSG.unpack_from(payload)
        if handle and parent in (_ROOT, _INGRESS) and index in names:
            kind = text(attr_dict(payload, 20)[1])  # TCA_KIND
            if kind not in _NO_QDISC:
                found.append(Qdisc(netns, names[index], "root" if parent == _ROOT else kind, kind))
    return found


def del_qdisc(index: int, qdisc: Qdisc) -> rtnl.Request:
    """Take a qdisc away, and what hangs on it."""
    return _DELQDISC, 0, _TCMSG.pack(0, index, 0, _ROOT if qdisc.place == "root" else _INGRESS, 0)


NETLINK_XFRM = 6
_DELPOLICY, _GETPOLICY, _GETSPDINFO = 0x14, 0x15, 0x25
_DIRECTIONS = ("in", "out", "fwd")
_SELECTOR, _INDEX, _DIR, _ACTION = 56, 156, 160, 161


def has_xfrm() -> bool:
    """Whether this kernel has IPsec's socket by now: opening one would load the module."""
    try:
        with open("/proc/thread-self/net/netlink", encoding="ascii") as stream:
            return any(line.split()[1:3] == ["6", "0"] for line in stream)
    except (OSError, IndexError):
        return False


def policies(netns: str) -> list[XfrmPolicy]:
    """The IPsec policies of the namespace that the calling thread is in."""
    sock = NetlinkSocket(NETLINK_XFRM)
    try:
        answer = sock.ask(_GETSPDINFO, b"\0\0\0\0")
        if answer is None or not any(struct.unpack_from("=III", answer[1], 8)):  # flags, XFRMA_SPD_INFO: in, out, fwd
            return []
        return [_policy(netns, payload) for _, payload in sock.dump(_GETPOLICY, bytes(64)) if payload[_DIR] < 3]
    finally:
        sock.close()


def _policy(netns: str, payload: memoryview) -> XfrmPolicy:
    family, dst_len, src_len = struct.unpack_from("=HBB", payload, 40)
    family = family or socket.AF_INET
    size = 4 if family == socket.AF_INET else 16
    dst, src = (socket.inet_ntop(family, bytes(payload[at : at + size])) for at in (0, 16))
    (index,) = struct.unpack_from("=I", payload, _INDEX)
    says = f"src {src}/{src_len} dst {dst}/{dst_len} action {'block' if payload[_ACTION] else 'allow'}"
    raw = bytes(payload[:_SELECTOR]) + struct.pack("=IBxxx", index, payload[_DIR])
    return XfrmPolicy(netns, _DIRECTIONS[payload[_DIR]], index, says, raw)


def remove(policy: XfrmPolicy) -> None:
    """Take a policy away, in the namespace that the calling thread is in.  One that is gone is no error."""
    sock = NetlinkSocket(NETLINK_XFRM)
    try:
        sock.batch([(_DELPOLICY, 0, policy.raw)])
    finally:
        sock.close()
