"""Addresses.  Numbers are those of linux/if_addr.h."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_interface

from netlab.kernel.rtnetlink import linksysctls
from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.route import RouteCodec
from netlab.kernel.rtnetlink.socket import CREATE, EXCL, NetlinkSocket, attr, attr_dict, attr_u32
from netlab.kernel.rtnetlink.values import FAMILIES, SCOPE_NAMES, SCOPES, address_text, family, packed
from netlab.objects import Addr, Route, Verb
from netlab.objects.host import LOOPBACK

_NEWADDR, _DELADDR = 20, 21
_IFADDRMSG = struct.Struct("=BBBBi")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_SECONDARY, _IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x01, 0x02, 0x200


class AddressCodec(Codec[Addr]):
    """Addresses, but for link-local ones and those that lo has by itself.  Read routes first."""

    DUMP, SELECT = 22, _IFADDRMSG.pack(0, 0, 0, 0, 0)

    def encode(self, obj: Addr, verb: Verb, handle: Handle) -> Request:
        if verb is Verb.UPDATE:
            return RouteCodec().encode(_prefix_route(obj), verb, handle)
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
        return addresses

    def decode(self, payload: Payload, dump: NamespaceDump) -> Addr | None:
        family_, length, flags, scope, index = _IFADDRMSG.unpack_from(payload)
        if family_ not in FAMILIES:
            return None
        at = attr_dict(payload, 8)
        v4 = family_ == socket.AF_INET
        raw = at[_IFA_LOCAL] if _IFA_LOCAL in at else at[_IFA_ADDRESS]
        address = f"{address_text(raw)}/{length}"
        if index == 1 and address in LOOPBACK:
            dump.loopback.add(address)
            return None
        if index not in dump.names or (not v4 and scope == SCOPES["link"]):
            return None  # its link came after the links were read; or every link has such an address
        far = at.get(_IFA_ADDRESS, raw)
        dev = dump.names[index]
        whole = length == 8 * len(raw)
        return Addr(
            dump.netns,
            dev,
            address,
            SCOPE_NAMES.get(scope, str(scope)),
            whole or not dump.links[index].up or (dev, _network(far, length)) in dump.connected,
            f"{address_text(far)}/{length}" if far != raw else "",
            secondary=v4 and bool(flags & _IFA_F_SECONDARY),
        )


def _network(raw: Payload, length: int) -> str:
    """The CIDR that an address is in."""
    rest = 8 * len(raw) - length
    return f"{address_text((int.from_bytes(raw) >> rest << rest).to_bytes(len(raw)))}/{length}"


def _prefix_route(addr: Addr) -> Route:
    """The connected route that the kernel made with an address, and that somebody deleted."""
    own = ip_interface(addr.address)
    v6 = own.version == 6
    src, scope, metric = ("", "global", 256) if v6 else (str(own.ip), "link", 0)
    return Route(addr.netns, str(own.network), "", addr.dev, src, scope, proto=2, metric=metric)  # RTPROT_KERNEL


def loopback(address: str) -> Request:
    """Give lo an address that it has by itself."""
    plain, _, length = address.partition("/")
    body = _IFADDRMSG.pack(family(plain), int(length), 0, SCOPES["host"], 1)
    return _NEWADDR, CREATE | EXCL, body + attr(_IFA_LOCAL, packed(plain)) + attr(_IFA_ADDRESS, packed(plain))
