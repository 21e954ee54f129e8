"""nftables' trace events, read from netlink: the rules that a packet met, and their verdicts.

``nft monitor trace`` prints text only, and a process of its own for every namespace.  The events carry no time, and
their id is not a packet's: it changes inside a node and collides between nodes.  Headers come with the first event
of each base chain's traversal only.  Older kernels do not send attributes 18 to 21 (connection tracking's).

Numbers: linux/netfilter/nf_tables.h; integers are big-endian.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Mapping

from netlab.kernel.capture.afpacket import grow
from netlab.kernel.nftables.counters import comment
from netlab.kernel.rtnetlink.socket import NETLINK_NETFILTER, NetlinkSocket, attr, attr_dict, attr_str, text
from netlab.tuples import NamedTuple

FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_NUMBERS = {name: number for number, name in FAMILIES.items()}
_SUBSYS, _GETTABLE, _GETCHAIN, _GETRULE, _TRACE = 10, 1, 4, 7, 17
_GROUP_TRACE = 9  # NFNLGRP_NFTRACE
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_KINDS = {1: "policy", 2: "return", 3: "rule"}
_VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", 5: "accept", -1: "continue", -2: "break"}
_VERDICTS |= {-3: "jump", -4: "goto", -5: "return"}
_HOOKS = {0: "prerouting", 1: "input", 2: "forward", 3: "output", 4: "postrouting"}
_NETDEV_HOOKS = {0: "ingress", 1: "egress"}
_MESSAGE = struct.Struct("=IHHII")


class Event(NamedTuple):
    """A trace event; interfaces by number, 0 for none.  See ``evidence.records.RuleSeen``."""

    family: str
    table: str
    chain: str
    handle: int
    kind: str
    verdict: str
    target: str
    link: bytes
    network: bytes
    transport: bytes
    iif: int
    oif: int
    mark: int
    state: int | None
    status: int | None


class Table(NamedTuple):
    """A table; ``owned``: it ends with the socket that made it, and no other process may change it."""

    family: str
    name: str
    owned: bool


class Hook(NamedTuple):
    """A base chain's place."""

    hook: str
    priority: int


class TraceSocket:
    """Trace events of the namespace that the calling thread is in when it is made."""

    def __init__(self, *, buffer: int = 4 << 20) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        self.lost = 0
        try:
            grow(self._socket, buffer)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_TRACE)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return self._socket.fileno()

    def read(self, most: int = 4096) -> Iterator[Event]:
        """What has arrived, at most so many datagrams; ``lost`` counts how often the buffer was full (and some lost)."""
        for _ in range(most):
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost += 1
                continue
            yield from events(data)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def events(data: bytes) -> Iterator[Event]:
    """The trace events in a datagram of netlink."""
    view = memoryview(data)
    offset = 0
    while offset + 20 <= len(view):
        size, kind, *_ = _MESSAGE.unpack_from(view, offset)
        if size < 20:
            return
        if kind == _SUBSYS << 8 | _TRACE:
            yield _event(view[offset + 16 : offset + size])
        offset += (size + 3) & ~3


def _event(payload: memoryview) -> Event:
    attributes = attr_dict(payload, 4)

    def number(kind: int) -> int:
        return int.from_bytes(attributes[kind], "big") if kind in attributes else 0

    def maybe(kind: int) -> int | None:
        return int.from_bytes(attributes[kind], "big") if kind in attributes else None

    def data(kind: int) -> bytes:
        return bytes(attributes.get(kind, b""))

    kind = _KINDS.get(number(4), "")
    code, target = 0, ""
    if 5 in attributes:
        verdict = attr_dict(attributes[5])
        code = int.from_bytes(verdict[1], "big", signed=True) if 1 in verdict else 0
        target = text(verdict[2]) if 2 in verdict else ""
    if kind == "policy" and 16 in attributes:
        code = number(16)
    verdict_name = _VERDICTS.get(code) or _VERDICTS.get(code & 0xFF, str(code))  # a queue's number is in the upper half
    return Event(
        FAMILIES.get(payload[0], str(payload[0])),
        text(attributes[1]) if 1 in attributes else "",
        text(attributes[2]) if 2 in attributes else "",
        number(3),
        kind,
        verdict_name,
        target,
        data(7),
        data(8),
        data(9),
        number(10),
        number(12),
        number(14),
        maybe(21),
        maybe(20),
    )


class RulesSocket:
    """Asks about the rules of the namespace that the calling thread is in when it is made."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def tables(self) -> list[Table]:
        """All tables.  Raises OSError where the kernel has no nf_tables."""
        present = []
        for _, payload in self._socket.dump(_SUBSYS << 8 | _GETTABLE, struct.pack("=BBH", 0, 0, 0)):
            values = attr_dict(payload, 4)
            family = FAMILIES.get(payload[0], str(payload[0]))
            flags = int.from_bytes(values[2], "big") if 2 in values else 0
            present.append(Table(family, text(values[1]), bool(flags & 2)))  # NFT_TABLE_F_OWNER
        return present

    def comment(self, family: str, table: str, chain: str, handle: int) -> str | None:
        """A rule's comment, "" for none; None where there is no such rule (any more)."""
        if family not in _NUMBERS:
            return None
        body = struct.pack("=BBH", _NUMBERS[family], 0, 0)
        body += attr_str(1, table) + attr_str(2, chain) + attr(3, handle.to_bytes(8, "big"))
        reply = self._socket.ask(_SUBSYS << 8 | _GETRULE, body)
        if reply is None:
            return None
        values = attr_dict(reply[1], 4)
        return comment(bytes(values[7])) if 7 in values else ""

    def hook(self, family: str, table: str, chain: str) -> Hook | None:
        """The hook of a base chain; None if it is none, or gone."""
        if family not in _NUMBERS:
            return None
        body = struct.pack("=BBH", _NUMBERS[family], 0, 0) + attr_str(1, table) + attr_str(3, chain)
        reply = self._socket.ask(_SUBSYS << 8 | _GETCHAIN, body)
        values: Mapping[int, memoryview] = attr_dict(reply[1], 4) if reply else {}
        if 4 not in values:
            return None
        attributes = attr_dict(values[4])
        number = int.from_bytes(attributes[1], "big")
        name = _NETDEV_HOOKS.get(number) if family == "netdev" else _HOOKS.get(number)
        return Hook(name or str(number), int.from_bytes(attributes[2], "big", signed=True))
