"""Routes.  Numbers are those of linux/rtnetlink.h."""

from __future__ import annotations

import socket
import struct
from functools import lru_cache

from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.socket import CREATE, EXCL, REPLACE, NetlinkSocket, attr, attr_dict, attr_u32, text
from netlab.kernel.rtnetlink.values import FAMILIES, SCOPE_NAMES, SCOPES, address_text, family, packed, u32
from netlab.objects import PathMtu, Route, Verb
from netlab.objects.base import LEARNED
from netlab.objects.ip import LOCAL, MAIN

NEWROUTE, _DELROUTE, GETROUTE = 24, 25, 26
RTMSG = struct.Struct("=BBBBBBBBI")
RTA_DST, RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, _RTA_MULTIPATH = 1, 4, 5, 6, 7, 8, 9
_RTA_TABLE, _RTA_ENCAP, _RTA_NH_ID = 15, 22, 30
_EXTRA = frozenset((RTA_METRICS, _RTA_MULTIPATH, _RTA_ENCAP, _RTA_NH_ID))
_RTNH_F_ONLINK = 4
_RTM_F_CLONED = 0x200
_CACHED_V6 = RTMSG.pack(socket.AF_INET6, 0, 0, 0, 0, 0, 0, 0, _RTM_F_CLONED)  # IPv6 routes with a learned path MTU
_DEFAULT, _COMPATIBLE = 253, 252  # RT_TABLE_DEFAULT; RT_TABLE_COMPAT stands for numbers above 255
TYPES = {
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
    "throw": 9,
}
_TYPE_NAMES = {number: name for name, number in TYPES.items()}
_OWN_TYPES = (2, 3)  # routes of table local that an IPv4 or IPv6 address has: local, broadcast
_KERNEL = 2  # RTPROT_KERNEL
_KERNEL_MADE = (_KERNEL, 9)  # and RTPROT_RA
_V6_METRIC = 1024  # IP6_RT_PRIO_USER: the metric of an IPv6 route that names none
# RTAX_*, as ip-route has them; a lock is an attribute of its own.
_METRICS = {2: "mtu", 3: "window", 4: "rtt", 5: "rttvar", 6: "ssthresh", 7: "cwnd", 8: "advmss", 9: "reordering"}
_METRICS |= {10: "hoplimit", 11: "initcwnd", 12: "features", 13: "rto_min", 14: "initrwnd", 15: "quickack"}
_RTAX_LOCK, _RTAX_MTU, _RTAX_CC = 1, 2, 16


class RouteCodec(Codec[Route]):
    """Routes of table main and those of other tables that a rule leads to, without those that the kernel makes by
    itself.  ``read`` notes the latter, since addresses need them, and learned path MTUs.
    """

    DUMP, SELECT = GETROUTE, RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)

    def encode(self, obj: Route, verb: Verb, handle: Handle) -> Request:
        """In other tables and with a tos, netlab only deletes."""
        remove = verb is Verb.DELETE
        plain, _, length = obj.dst.partition("/")
        scope = "nowhere" if remove and obj.scope == "global" else obj.scope
        number = SCOPES[scope] if scope in SCOPES else int(scope)
        table = obj.table if obj.table < 256 else 0
        flags = _RTNH_F_ONLINK if obj.onlink else 0
        body = RTMSG.pack(family(plain), int(length), 0, obj.tos, table, obj.proto, number, TYPES[obj.type], flags)
        body += attr(RTA_DST, packed(plain)) if int(length) else b""
        body += attr_u32(RTA_OIF, handle.links[obj.dev]) if obj.dev else b""
        body += attr(_RTA_GATEWAY, packed(obj.via)) if obj.via else b""
        body += attr(RTA_PREFSRC, packed(obj.src)) if obj.src else b""
        body += attr_u32(_RTA_PRIORITY, obj.metric) if obj.metric else b""
        body += attr_u32(_RTA_TABLE, obj.table) if obj.table > 255 else b""
        if remove:
            return _DELROUTE, 0, body
        return NEWROUTE, CREATE | (REPLACE if verb is Verb.UPDATE else EXCL), body

    def read(self, sock: NetlinkSocket, dump: NamespaceDump) -> list[Route]:
        """One dump for all tables: a dump costs more than the routes of the others do."""
        tables = {MAIN, _DEFAULT, *dump.tables}
        routes = []
        for _, payload in sock.dump(self.DUMP, self.SELECT, strict=False):
            _, _, _, _, table, proto, _, kind, flags = RTMSG.unpack_from(payload)
            if flags & _RTM_F_CLONED:
                if (path := _path_mtu(payload, dump.netns)) is not None:
                    dump.learned.append(path)
            elif table == LOCAL and proto == _KERNEL:
                if kind in _OWN_TYPES:
                    dump.own_routes.add(_own_route(bytes(payload)))
            elif table == MAIN and proto in _KERNEL_MADE:
                if (own := _connected(payload)) is not None:
                    dump.connected.add(own)
            elif (route := self.decode(payload, dump)) is not None and (route.table in tables or table == LOCAL):
                routes.append(route)
        return routes

    def foreign(self, dump: NamespaceDump) -> list[Route]:
        """Routes of table local that no address explains, once addresses are read."""
        return [
            Route(dump.netns, f"{address_text(raw)}/{length}", proto=_KERNEL, type=_TYPE_NAMES[kind], table=LOCAL)
            for index, raw, length, kind in dump.own_routes
            if raw not in dump.explained and not (index == 1 and len(raw) == 4 and raw[0] == 127)
        ]

    def decode(self, payload: Payload, dump: NamespaceDump) -> Route | None:
        family_, length, _, tos, table, proto, scope, kind, flags = RTMSG.unpack_from(payload)
        if family_ not in FAMILIES or kind not in _TYPE_NAMES:
            return None
        at = attr_dict(payload, 12)
        if table == _COMPATIBLE and _RTA_TABLE in at:
            table = u32(at[_RTA_TABLE])
        v6 = family_ == socket.AF_INET6
        dst = f"{address_text(at[RTA_DST]) if RTA_DST in at else '::' if v6 else '0.0.0.0'}/{length}"
        dev = dump.names.get(u32(at[RTA_OIF]), "") if RTA_OIF in at else ""
        extra = _extra(at, dump.names) if _EXTRA & at.keys() else ""
        type_ = _TYPE_NAMES[kind]
        metric = u32(at[_RTA_PRIORITY]) if _RTA_PRIORITY in at else 0
        duplicate = dump.duplicates[dst, metric, tos, table]
        dump.duplicates[dst, metric, tos, table] += 1
        metric = 0 if v6 and metric == _V6_METRIC else metric
        via = address_text(at[_RTA_GATEWAY]) if _RTA_GATEWAY in at else ""
        src = address_text(at[RTA_PREFSRC]) if RTA_PREFSRC in at else ""
        word = SCOPE_NAMES.get(scope, str(scope))
        if v6:  # it has no scopes: the gateway decides, as it does for the scope of an IPv4 route
            word = "global" if via or type_ != "unicast" else "link"
        dev = dev if type_ == "unicast" else ""
        onlink = bool(flags & _RTNH_F_ONLINK)
        return Route(dump.netns, dst, via, dev, src, word, proto, onlink, type_, metric, duplicate, extra, tos, table)


@lru_cache(4096)
def _own_route(payload: bytes) -> tuple[int, bytes, int, int]:
    """Interface, destination, its length and the type.  Cached: most namespaces have the same routes of lo."""
    at = attr_dict(payload, 12)
    raw = bytes(at[RTA_DST]) if RTA_DST in at else b""
    return u32(at[RTA_OIF]) if RTA_OIF in at else 0, raw, payload[1], payload[7]


def _path_mtu(payload: Payload, netns: str) -> PathMtu | None:
    """The MTU that a learned route holds; None of one that holds another gateway alone."""
    at = attr_dict(payload, 12)
    mtu = attr_dict(at[RTA_METRICS]).get(_RTAX_MTU) if RTA_METRICS in at else None
    if mtu is None or RTA_DST not in at:
        return None
    return PathMtu(netns, address_text(at[RTA_DST]), u32(mtu), why=LEARNED)


def _connected(payload: Payload) -> tuple[int, bytes, int] | None:
    """Interface, destination and its length; None where it differs from the route that the kernel makes."""
    at = attr_dict(payload, 12)
    if RTA_OIF not in at or (_EXTRA & at.keys() and _extra(at, {})):
        return None
    return u32(at[RTA_OIF]), bytes(at[RTA_DST]) if RTA_DST in at else b"", payload[1]


def _extra(at: dict[int, memoryview], names: dict[int, str]) -> str:
    """Attributes beside gateway and device, as ip-route has them: ``mtu 1300 advmss 1260``."""
    words = []
    if RTA_METRICS in at:
        metrics = attr_dict(at[RTA_METRICS])
        locked = u32(metrics[_RTAX_LOCK]) if _RTAX_LOCK in metrics else 0
        for number, value in metrics.items():
            if number in _METRICS:
                words.append(f"{_METRICS[number]} {'lock ' if locked >> number & 1 else ''}{u32(value)}")
            elif number == _RTAX_CC:
                words.append(f"congctl {text(value)}")
    words += [f"nhid {u32(at[_RTA_NH_ID])}"] if _RTA_NH_ID in at else []
    words += ["encap"] if _RTA_ENCAP in at else []
    if _RTA_MULTIPATH in at:
        raw, offset = at[_RTA_MULTIPATH], 0
        while offset + 8 <= len(raw):
            size, _, weight, index = struct.unpack_from("=HBBi", raw, offset)
            if size < 8:
                break
            hop = attr_dict(raw[offset + 8 : offset + size])
            via = f" via {address_text(hop[_RTA_GATEWAY])}" if _RTA_GATEWAY in hop else ""
            words.append(f"nexthop{via} dev {names.get(index, str(index))} weight {weight + 1}")
            offset += (size + 3) & ~3
    return " ".join(words)


def flush_learned(sysctls: Sysctls) -> None:
    """Remove all learned path MTUs of the namespace that the calling thread is in."""
    sysctls.enter()
    sysctls.write("net.ipv4.route.flush", "1")  # no request removes a single path of IPv4
    with NetlinkSocket() as sock:
        sock.batch([_removal(payload) for _, payload in sock.dump(GETROUTE, _CACHED_V6)])  # some are gone by then


def _removal(cached: Payload) -> Request:
    """The request that removes a learned route."""
    family_, dst_len, src_len, tos, table, _, _, _, flags = RTMSG.unpack_from(cached)
    at = attr_dict(cached, 12)
    body = RTMSG.pack(family_, dst_len, src_len, tos, table, 0, 0, 0, flags)
    return _DELROUTE, 0, body + b"".join(attr(kind, bytes(at[kind])) for kind in (RTA_DST, RTA_OIF) if kind in at)
