"""Addresses.  Numbers are those of linux/if_addr.h."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_interface

from netlab.kernel.rtnetlink import linksysctls
from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.route import NEWROUTE, RTA_DST, RTA_OIF, RTA_PREFSRC, RTMSG, TYPES, RouteCodec
from netlab.kernel.rtnetlink.socket import CREATE, EXCL, NetlinkSocket, attr, attr_dict, attr_u32
from netlab.kernel.rtnetlink.values import FAMILIES, SCOPE_NAMES, SCOPES, address_text, family, packed
from netlab.objects import Addr, Op, Verb
from netlab.objects.host import LOOPBACK, LOOPBACK_ROUTES
from netlab.objects.ip import LOCAL

_NEWADDR, _DELADDR = 20, 21
_IFADDRMSG = struct.Struct("=BBBBi")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 4, 6, 8
_IFA_F_SECONDARY, _IFA_F_NODAD, _IFA_F_PERMANENT, _IFA_F_NOPREFIXROUTE = 0x01, 0x02, 0x80, 0x200
_NEW = 1000  # 1/100 s
_STATES = ((0x08, "dadfailed"), (0x40, "tentative"), (0x20, "deprecated"))
# Address of lo, its route, and that as ``NamespaceDump.own_routes`` has it.
_LOOPBACK_ROUTES = tuple(
    (LOOPBACK[":" in route], route, (1, packed(plain), int(length), TYPES["local"]))
    for route in LOOPBACK_ROUTES
    for plain, _, length in [route.partition("/")]
)


class AddressCodec(Codec[Addr]):
    """Addresses, but for link-local ones and those that lo has by itself.  Read routes first."""

    DUMP, SELECT = 22, _IFADDRMSG.pack(0, 0, 0, 0, 0)

    def request(self, op: Op, handle: Handle) -> Sequence[Request]:
        if op.verb is Verb.UPDATE and isinstance(op.obj, Addr) and isinstance(op.have, Addr):
            return [RouteCodec().encode(route, op.verb, handle) for route in op.obj.routes(op.have) or ()]
        return super().request(op, handle)

    def encode(self, obj: Addr, verb: Verb, handle: Handle) -> Request:
        plain, _, length = obj.address.partition("/")
        raw = packed(plain)
        flags = _IFA_F_NODAD if len(raw) == 16 else 0
        scope = SCOPES[obj.scope] if obj.scope in SCOPES else int(obj.scope)
        body = _IFADDRMSG.pack(family(plain), int(length), flags, scope, handle.links[obj.dev])
        body += attr(_IFA_LOCAL, raw) + attr(_IFA_ADDRESS, packed(obj.peer.partition("/")[0]) if obj.peer else raw)
        if not obj.prefix_route:
            body += attr_u32(_IFA_FLAGS, flags | _IFA_F_NOPREFIXROUTE)  # the header's byte holds only the older flags
        if obj.broadcast:
            body += attr(_IFA_BROADCAST, ip_interface(obj.address).network.broadcast_address.packed)
        return (_DELADDR, 0, body) if verb is Verb.DELETE else (_NEWADDR, CREATE | EXCL, body)

    def read(self, sock: NetlinkSocket, dump: NamespaceDump) -> list[Addr]:
        addresses = super().read(sock, dump)
        lo = dump.links[1]
        if lo.up:  # without IPv6, on this host or on lo, there is no ::1 to be missed
            v6 = bool(lo.conf[1]) and not linksysctls.disabled(lo.conf[1])
            dump.lacks += [own for own in LOOPBACK if own not in dump.loopback and (v6 or ":" not in own)]
            dump.lacks += [
                f"local {route}"
                for own, route, key in _LOOPBACK_ROUTES
                if own in dump.loopback and key not in dump.own_routes
            ]
        return addresses

    def decode(self, payload: Payload, dump: NamespaceDump) -> Addr | None:
        family_, length, flags, scope, index = _IFADDRMSG.unpack_from(payload)
        if family_ not in FAMILIES:
            return None
        at = attr_dict(payload, 8)
        v4 = family_ == socket.AF_INET
        raw = bytes(at[_IFA_LOCAL] if _IFA_LOCAL in at else at[_IFA_ADDRESS])
        dump.explained.add(raw)
        address = f"{address_text(raw)}/{length}"
        own = (index, raw, 8 * len(raw), TYPES["local"]) in dump.own_routes
        up = index in dump.links and dump.links[index].up
        state = next((word for flag, word in _STATES if flags & flag), "" if flags & _IFA_F_PERMANENT else "dynamic")
        if not (own or v4 or state) and up and _IFA_CACHEINFO in at and _is_new(at):
            dump.unsettled.add(raw + bytes(at[_IFA_CACHEINFO][8:12]))
        if index == 1 and address in LOOPBACK:
            dump.loopback.add(address)
            return None
        if v4:
            dump.explained.update(_broadcasts(raw, length))
            if _IFA_BROADCAST in at:
                dump.explained.add(bytes(at[_IFA_BROADCAST]))
        if index not in dump.names or (not v4 and scope == SCOPES["link"]):
            return None  # its link came after the links were read; or every link has such an address
        far = at.get(_IFA_ADDRESS, raw)
        dev = dump.names[index]
        lacks: tuple[str, ...] = ()
        if up and not state and not own:
            lacks = ("local",)
        if up and _IFA_BROADCAST in at:
            broadcast = bytes(at[_IFA_BROADCAST])
            if (index, broadcast, 32, TYPES["broadcast"]) not in dump.own_routes:
                lacks += ("broadcast",)
        return Addr(
            dump.netns,
            dev,
            address,
            SCOPE_NAMES.get(scope, str(scope)),
            length == 8 * len(raw)
            or (not up and not _routeless(at))
            or (index, _network(far, length), length) in dump.connected,
            f"{address_text(far)}/{length}" if far != raw else "",
            state,
            lacks,
            secondary=v4 and bool(flags & _IFA_F_SECONDARY),
        )


def _routeless(at: dict[int, memoryview]) -> bool:
    """Whether an address was added noprefixroute: on a link that is down, no route is there to tell it."""
    return _IFA_FLAGS in at and bool(int.from_bytes(at[_IFA_FLAGS], sys.byteorder) & _IFA_F_NOPREFIXROUTE)


def _is_new(at: dict[int, memoryview]) -> bool:
    """Whether an address is so young that the kernel may still be about to add its local route.

    It does so in the background, for IPv6.
    """
    (created,) = struct.unpack_from("=I", at[_IFA_CACHEINFO], 8)  # 1/100 s after the start of the machine
    age: int = (int(time.monotonic() * 100) - created) % (1 << 32)
    return age < _NEW


@lru_cache(4096)
def _broadcasts(raw: bytes, length: int) -> tuple[bytes, ...]:
    """The first and the last address of an IPv4 subnet: the kernel, or an older one, has routes for them."""
    if length > 30:
        return ()
    mask = (1 << 32 - length) - 1
    number = int.from_bytes(raw)
    return (number & ~mask).to_bytes(4), (number | mask).to_bytes(4)


def _network(raw: Payload, length: int) -> bytes:
    """The first address of the subnet that an address is in."""
    rest = 8 * len(raw) - length
    return (int.from_bytes(raw) >> rest << rest).to_bytes(len(raw))


def loopback(address: str) -> Request:
    """The request that restores one of lo's own addresses."""
    plain, _, length = address.partition("/")
    body = _IFADDRMSG.pack(family(plain), int(length), 0, SCOPES["host"], 1)
    return _NEWADDR, CREATE | EXCL, body + attr(_IFA_LOCAL, packed(plain)) + attr(_IFA_ADDRESS, packed(plain))


def restore_local(route: str) -> list[Request]:
    """Give lo one of its routes of table local."""
    if ":" in route:  # of metric 0: only the address can bring it
        kind, flags, body = loopback(route)
        return [(_DELADDR, 0, body), (kind, flags, body)]
    header = RTMSG.pack(socket.AF_INET, int(route.partition("/")[2]), 0, 0, LOCAL, 2, SCOPES["host"], TYPES["local"], 0)
    body = attr(RTA_DST, packed(route.partition("/")[0])) + attr_u32(RTA_OIF, 1)
    return [(NEWROUTE, CREATE | EXCL, header + body + attr(RTA_PREFSRC, packed("127.0.0.1")))]
