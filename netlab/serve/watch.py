"""What the kernel tells of a lab's namespaces: two netlink sockets in each, read by the event loop.

A netlink socket keeps its namespace alive after the lab went down: ``close`` must follow at once.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator

from netlab.kernel.host.netns import Worker, open_named, setns

# RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR and _IPV6_ROUTE of linux/rtnetlink.h, as a mask.
_ROUTE_GROUPS = sum(1 << (group - 1) for group in (1, 3, 5, 7, 9, 11))
_NFT_GROUP = 1 << 6  # NFNLGRP_NFTABLES, 7
_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_NEIGH = (28, 29)  # RTM_NEWNEIGH, RTM_DELNEIGH
_AF_BRIDGE = 7
_LASTING = 0x40 | 0x80  # NUD_NOARP, NUD_PERMANENT


class Watch:
    """Calls ``changed(netns)`` for each change in a namespace that is not the kernel's own."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._sockets: dict[str, tuple[socket.socket, ...]] = {}
        self._worker = Worker()

    async def follow(self, names: Iterable[str]) -> None:
        """Listen in these namespaces, and in no other."""
        wanted = set(names)
        for gone in self._sockets.keys() - wanted:
            self._forget(gone)
        new = sorted(wanted - self._sockets.keys())
        try:
            opened = await asyncio.to_thread(self._worker.run, lambda: [_opened(name) for name in new])
        except OSError:  # no descriptor is free: the page shows what its own changes say
            opened = [() for _ in new]
        loop = asyncio.get_running_loop()
        for name, sockets in zip(new, opened, strict=True):
            self._sockets[name] = sockets
            for each in sockets:
                loop.add_reader(each, self._read, each, name)

    def _read(self, each: socket.socket, name: str) -> None:
        matters = False
        try:
            while data := each.recv(65536):
                matters = matters or any(_matters(kind, body) for kind, body in _messages(data))
        except BlockingIOError:
            pass
        except OSError:  # ENOBUFS: more changed than the socket holds
            matters = True
        if matters:
            self._changed(name)

    def _forget(self, name: str) -> None:
        for each in self._sockets.pop(name):
            asyncio.get_running_loop().remove_reader(each)
            each.close()

    def close(self) -> None:
        """Let go of all namespaces."""
        for name in list(self._sockets):
            self._forget(name)
        self._worker.close()


def _opened(name: str) -> tuple[socket.socket, ...]:
    """The sockets of a namespace; none where it has gone."""
    try:
        fd = open_named(name)
    except OSError:
        return ()
    try:
        return _inside(fd)
    except OSError:
        return ()
    finally:
        os.close(fd)


def _inside(fd: int) -> tuple[socket.socket, ...]:
    setns(fd)
    sockets = []
    for family, groups in ((_NETLINK_ROUTE, _ROUTE_GROUPS), (_NETLINK_NETFILTER, _NFT_GROUP)):
        each = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, family)
        each.bind((0, groups))
        sockets.append(each)
    return tuple(sockets)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        yield kind, data[at + 16 : at + length]
        at += max(16, (length + 3) & ~3)


def _matters(kind: int, body: bytes) -> bool:
    """Whether somebody made a change: neighbours come, age and go with every packet."""
    if kind in _NEIGH and len(body) >= 12 and body[0] != _AF_BRIDGE:
        return bool(struct.unpack_from("=H", body, 8)[0] & _LASTING)
    return True
