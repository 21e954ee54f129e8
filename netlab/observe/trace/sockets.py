"""The sockets that could have taken a traced packet, and the state of their processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial

from netlab.evidence.records import Socket
from netlab.kernel.host import netns as ns
from netlab.kernel.host.sockdiag import ListeningSocket, listening

_STOPPED = "Tt"


def sockets(netns: Iterable[str], protocol: str, ports: Collection[int]) -> Mapping[str, tuple[Socket, ...]]:
    """By namespace its listening sockets of a protocol; with their processes, those on one of the ports."""
    by_netns = ns.each(netns, partial(_sockets, protocol))
    inodes = {each.inode for there in by_netns.values() for _, each in there if each.port in ports}
    owners = _owners(inodes) if inodes else {}
    return {name: tuple(_record(*pair, owners) for pair in there) for name, there in by_netns.items()}


def unaccepted(netns: str, port: int) -> Mapping[str, tuple[Socket, ...]]:
    """The TCP sockets of a port of a namespace on which a connection waits to be accepted."""
    there = ns.call(netns, lambda: _sockets("TCP", netns))
    waiting = [pair for pair in there if pair[1].port == port and pair[1].waiting]
    owners = _owners({each.inode for _, each in waiting}) if waiting else {}
    return {netns: tuple(_record(*pair, owners) for pair in waiting)} if waiting else {}


def _sockets(protocol: str, _: str) -> list[tuple[str, ListeningSocket]]:
    names = dict(socket.if_nameindex())
    return [(names.get(each.device, "") if each.device else "", each) for each in listening(protocol)]


def _record(device: str, each: ListeningSocket, owners: Mapping[int, tuple[int, str, bool]]) -> Socket:
    return Socket(
        each.address, each.port, device, each.v6only, each.waiting, each.room, *owners.get(each.inode, (0, "", False))
    )


def _owners(inodes: Collection[int]) -> dict[int, tuple[int, str, bool]]:
    """By inode the process that holds the socket: its number, its name, and whether it is stopped."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[int, tuple[int, str, bool]] = {}
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        for link in _held(pid):
            if (inode := links.get(link)) is not None and inode not in owners:
                owners[inode] = (int(pid), *_state(pid))
        if len(owners) == len(inodes):
            break
    return owners


def _held(pid: str) -> Iterator[str]:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:  # gone, or another user's
        return
    for descriptor in descriptors:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{descriptor}")
        except OSError:
            continue


def _state(pid: str) -> tuple[str, bool]:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            head, _, tail = stat.read().rpartition(")")
    except OSError:
        return "", False
    return head.partition("(")[2], tail.strip()[:1] in _STOPPED
