"""The parts that all codecs share: an open namespace, a dump of one, the interface of a codec.

Each noun of rtnetlink has one module with one codec: ``request`` writes messages, ``decode`` reads them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar, Generic, TypeVar, cast

from netlab.kernel.rtnetlink.socket import NetlinkSocket
from netlab.objects import Deviation, Obj, Op, Verb
from netlab.objects.links import End
from netlab.tuples import NamedTuple
from netlab.values import dataclass

T = TypeVar("T", bound=Obj)
Request = tuple[int, int, bytes]  # message type, flags, body
Payload = bytes | memoryview

_SPARE_INDEX = 1 << 20  # above all that plans use


class NoSuchLink(LookupError):
    """The namespace has no link of that name, as far as was read."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Links(dict[str, int]):
    """A namespace's interface indexes by name; an unknown name raises NoSuchLink."""

    def __missing__(self, name: str) -> int:
        raise NoSuchLink(name)


@dataclass(slots=True)
class Handle:
    """An open namespace: its descriptor, a rtnetlink socket that belongs to it, its links by name.

    ``routeless``: new IPv6 addresses whose route was waited for in vain.
    """

    netns: str
    fd: int
    socket: NetlinkSocket
    links: Links = field(default_factory=Links)
    routeless: set[bytes] = field(default_factory=set)

    def reserve(self, end: End) -> int:
        """Reserve the end's planned index; where another link has it, a high one that no later link is planned for."""
        index = end.index or _SPARE_INDEX
        taken = set(self.links.values())
        while index in taken:
            index = max(index + 1, _SPARE_INDEX)
        self.links[end.name] = index
        return index

    def close(self) -> None:
        self.socket.close()
        os.close(self.fd)


class RawPeer(NamedTuple):
    """A peer of a WireGuard device: its public key, its endpoint as text, the networks that it may send from."""

    public: bytes
    endpoint: str
    allowed: tuple[str, ...]


class RawWireGuard(NamedTuple):
    """A WireGuard device as generic netlink has it; ``public`` is its public key, b"" where it has no key."""

    port: int
    public: bytes
    peers: tuple[RawPeer, ...]


class RawLink(NamedTuple):
    """A link's message.  ``number`` is its interface index, ``link`` the index of its peer or lower device, ``nsid`` the id of that one's namespace.

    ``data``: the attributes of its kind; ``works``: its operational state lets packets pass; ``conf``: its
    sysctls of both families (``linksysctls``).
    """

    number: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    master: int
    link: int
    nsid: int | None
    addrgen: str
    altname: str
    alias: str
    data: bytes
    port: dict[int, int]
    works: bool = True
    deviations: tuple[Deviation, ...] = ()
    port_deviations: tuple[Deviation, ...] = ()
    conf: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


@dataclass(slots=True)
class NamespaceDump:
    """The contents of one namespace, and what its codecs need of each other while they decode.

    ``objects`` are all but links; ``lacks`` the kernel's own rules and addresses that are missing; ``tables`` those
    that foreign rules lead to; ``connected`` the kernel's own routes as (interface, destination, its length); ``loopback`` lo's addresses.
    ``own_routes`` are those of table local as (interface, destination, its length, type), ``explained`` the
    destinations that addresses have there; ``own_entries`` the MAC addresses
    of which a bridge knows that they are its own or a port's.  ``wireguard``: by name, the WireGuard devices.  ``unsettled``: new IPv6 addresses
    without a route, each with the time at which it was made.
    """

    netns: str
    links: dict[int, RawLink]
    names: dict[int, str]
    objects: list[Obj] = field(default_factory=list)
    learned: list[Obj] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    tables: frozenset[int] = frozenset()
    connected: set[tuple[int, bytes, int]] = field(default_factory=set)
    duplicates: Counter[tuple[str, int, int, int]] = field(default_factory=Counter)
    loopback: set[str] = field(default_factory=set)
    own_routes: set[tuple[int, bytes, int, int]] = field(default_factory=set)
    explained: set[bytes] = field(default_factory=set)
    unsettled: set[bytes] = field(default_factory=set)
    own_entries: set[str] = field(default_factory=set)
    wireguard: dict[str, RawWireGuard] = field(default_factory=dict)

    @property
    def alias(self) -> str:
        """The mark on lo."""
        lo = self.links.get(1)
        return lo.alias if lo else ""


class Codec(Generic[T]):
    """A noun of rtnetlink: how its objects are written and read."""

    DUMP: ClassVar[int]  # the type of the message that asks for all of them
    SELECT: ClassVar[bytes]  # its body

    def request(self, op: Op, handle: Handle) -> Sequence[Request]:
        """The requests that carry out an operation; raises NoSuchLink."""
        return (self.encode(cast(T, op.obj), op.verb, handle),)

    def encode(self, obj: T, verb: Verb, handle: Handle) -> Request:
        """The request that makes, changes or removes an object."""
        raise NotImplementedError

    def decode(self, payload: Payload, dump: NamespaceDump) -> T | None:
        """The object in a message; None where the kernel made it by itself, or a State does not hold it."""
        raise NotImplementedError

    def read(self, sock: NetlinkSocket, dump: NamespaceDump) -> list[T]:
        """All of the namespace's."""
        parts = sock.dump(self.DUMP, self.SELECT)
        return [obj for _, payload in parts if (obj := self.decode(payload, dump)) is not None]
