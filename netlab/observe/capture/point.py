"""A capture point: one namespace, its ring of frames, and the names of its links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase

from netlab.kernel.capture.afpacket import ETHERNETS
from netlab.kernel.capture.packetring import RETIRE, Frame, Ring
from netlab.kernel.host import netns as ns
from netlab.kernel.rtnetlink.codec import RawLink
from netlab.kernel.rtnetlink.link import links
from netlab.kernel.rtnetlink.socket import NetlinkSocket
from netlab.names import Owner
from netlab.observe.capture.bpf import Program, only_interfaces, packed
from netlab.values import dataclass
from netlab.wire.pcapng import ETHERNET, RAW_IP, Interface

_PASSES_ON = 8  # times a Pod's share
_LINKS = 1  # RTNLGRP_LINK


@dataclass(frozen=True, slots=True)
class Space:
    """Where to listen: the namespace, what it is called in the output (``node-1``, ``client``, ``shop/web``), and which
    interfaces are meant (``*`` and ``?`` as in a shell; none: all).  ``weight``: its share of the memory.
    """

    netns: str
    name: str
    interfaces: tuple[str, ...] = ()
    weight: int = 1

    @classmethod
    def of(cls, netns: str, owner: Owner, interfaces: tuple[str, ...] = ()) -> Space:
        """A namespace to listen in.  Nodes and routers have more weight, because they forward packets of many Pods."""
        return cls(netns, name_of(owner), interfaces, 1 if owner.kind == "pod" else _PASSES_ON)


def name_of(owner: Owner) -> str:
    """The name of a namespace as users type it: a Pod of default has no namespace before its name."""
    return owner.name.removeprefix("default/") if owner.kind == "pod" else owner.name


class CapturePoint:
    """Opened by ``open_point``; ``numbers`` is for whoever writes its frames: ifindex -> the interface's number."""

    def __init__(self, space: Space, program: Program, memory: int, retire: int) -> None:
        self.space, self._program = space, program
        self.inode = os.stat(ns.RUN_NETNS / space.netns).st_ino
        self.numbers: dict[int, int] = {}
        self.links: dict[int, RawLink] = {}
        self._named: dict[tuple[int, int], Interface] = {}
        self._asking = NetlinkSocket()
        self.news = NetlinkSocket()
        try:
            self.news.join(_LINKS)
            if space.interfaces:  # their indexes are part of the filter
                self.links = links(self._asking)
            self.ring = Ring(packed(self._filter()), memory, self, retire)
        except BaseException:
            self._asking.close()
            self.news.close()
            raise
        self.links = links(self._asking)

    def wanted(self) -> Iterator[str]:
        """The names of the interfaces that it listens to, of those that are there now."""
        return (link.name for link in self.links.values() if self._means(link.name))

    def _means(self, name: str) -> bool:
        patterns = self.space.interfaces
        return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)

    def _filter(self) -> Program:
        if not self.space.interfaces:
            return self._program
        return only_interfaces(self._program, (index for index, link in self.links.items() if self._means(link.name)))

    def refresh(self) -> None:
        """Look at the links again, where something happened to them: names change, indexes are used again."""
        if not self.news.drain():
            return
        fresh = links(self._asking)
        # A link that has gone may still have frames in the ring: its name stays until the index is somebody else's.
        changed = {index for index, link in fresh.items() if link.name != self.links.get(index, link).name}
        added = fresh.keys() - self.links.keys()
        self.links |= fresh
        for index in changed:
            self.numbers.pop(index, None)
        self._named = {key: interface for key, interface in self._named.items() if key[0] not in changed}
        if self.space.interfaces and (changed or added):
            current = [index for index, link in fresh.items() if self._means(link.name)]
            self.ring.attach(packed(only_interfaces(self._program, current)))

    def interface(self, index: int, hardware: int = 1) -> Interface:
        """The description of an interface in a file."""
        interface = self._named.get((index, hardware))
        if interface is None:
            interface = self._named[index, hardware] = self._interface(index, hardware)
        return interface

    def _interface(self, index: int, hardware: int) -> Interface:
        if index not in self.links:
            self.links |= links(self._asking)
        link = self.links.get(index)
        link_type = ETHERNET if hardware in ETHERNETS else RAW_IP
        if link is None:  # it came and went between two looks
            return Interface(f"{self.space.name}/if{index}", f"in {self.space.netns}, gone", link_type=link_type)
        kind_of = link.kind or ("loopback" if link.name == "lo" else "ether")
        about = [f"{kind_of} in {self.space.netns}", f"MTU {link.mtu}", *([link.altname] if link.altname else ())]
        mac = bytes.fromhex(link.mac.replace(":", "")) if link.mac.count(":") == 5 else b""
        return Interface(f"{self.space.name}/{link.name}", ", ".join(about), mac, link_type)

    def is_port(self, index: int) -> bool:
        """Whether the interface is a port of a bridge."""
        link = self.links.get(index)
        return link is not None and bool(link.port)

    def read(self) -> list[Frame]:
        """The frames that have come."""
        return self.ring.read()

    def close(self) -> None:
        self.news.close()
        self._asking.close()
        self.ring.close()


def open_point(space: Space, program: Program, memory: int, retire: int = RETIRE) -> CapturePoint:
    """Listen to a namespace; the calling thread goes there and comes back.  Raises OSError where it has gone."""
    with ns.inside(space.netns):
        return CapturePoint(space, program, memory, retire)
