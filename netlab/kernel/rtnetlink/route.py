"""Routes.  Numbers are those of linux/rtnetlink.h."""

from __future__ import annotations

import errno
import socket
import struct

from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.socket import CREATE, EXCL, REPLACE, NetlinkSocket, attr, attr_dict, attr_u32, text
from netlab.kernel.rtnetlink.values import FAMILIES, SCOPE_NAMES, SCOPES, address_text, family, packed, u32
from netlab.objects import Route, Verb
from netlab.objects.ip import MAIN

_NEWROUTE, _DELROUTE, GETROUTE = 24, 25, 26
RTMSG = struct.Struct("=BBBBBBBBI")
RTA_DST, RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, RTA_METRICS, _RTA_MULTIPATH = 1, 4, 5, 6, 7, 8, 9
_RTA_TABLE, _RTA_ENCAP, _RTA_NH_ID = 15, 22, 30
_EXTRA = frozenset((RTA_METRICS, _RTA_MULTIPATH, _RTA_ENCAP, _RTA_NH_ID))
_RTNH_F_ONLINK = 4
TYPES = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
_TYPE_NAMES = {number: name for name, number in TYPES.items()}
_KERNEL_MADE = (2, 9)  # RTPROT_KERNEL, RTPROT_RA
_V6_METRIC = 1024  # IP6_RT_PRIO_USER: the metric of an IPv6 route that names none
# RTAX_*, as ip-route has them; a lock is an attribute of its own.
_METRICS = {2: "mtu", 3: "window", 4: "rtt", 5: "rttvar", 6: "ssthresh", 7: "cwnd", 8: "advmss", 9: "reordering"}
_METRICS |= {10: "hoplimit", 11: "initcwnd", 12: "features", 13: "rto_min", 14: "initrwnd", 15: "quickack"}
_RTAX_LOCK, _RTAX_CC = 1, 16


class RouteCodec(Codec[Route]):
    """Routes of table main, and of the tables that foreign rules lead to."""

    DUMP = GETROUTE

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
        body += attr(_RTA_PREFSRC, packed(obj.src)) if obj.src else b""
        body += attr_u32(_RTA_PRIORITY, obj.metric) if obj.metric else b""
        body += attr_u32(_RTA_TABLE, obj.table) if obj.table > 255 else b""
        if remove:
            return _DELROUTE, 0, body
        return _NEWROUTE, CREATE | (REPLACE if verb is Verb.UPDATE else EXCL), body

    def read(self, sock: NetlinkSocket, dump: NamespaceDump) -> list[Route]:
        return [route for table in (MAIN, *sorted(dump.tables)) for route in self._table(sock, dump, table)]

    def _table(self, sock: NetlinkSocket, dump: NamespaceDump, table: int) -> list[Route]:
        header = RTMSG.pack(0, 0, 0, 0, table if table < 256 else 0, 0, 0, 0, 0)
        try:
            parts = sock.dump(self.DUMP, header + (attr_u32(_RTA_TABLE, table) if table > 255 else b""))
        except OSError as error:
            if error.errno != errno.ENOENT or table == MAIN:
                raise
            return []  # a rule leads to a table that has no route
        routes = (self.decode(payload, dump) for _, payload in parts)
        return [route for route in routes if route is not None and route.table == table]

    def decode(self, payload: Payload, dump: NamespaceDump) -> Route | None:
        family_, length, _, tos, table, proto, scope, kind, flags = RTMSG.unpack_from(payload)
        if family_ not in FAMILIES or kind not in _TYPE_NAMES:
            return None
        at = attr_dict(payload, 12)
        if table != MAIN and _RTA_TABLE in at:
            table = u32(at[_RTA_TABLE])
        v6 = family_ == socket.AF_INET6
        dst = f"{address_text(at[RTA_DST]) if RTA_DST in at else '::' if v6 else '0.0.0.0'}/{length}"
        dev = dump.names.get(u32(at[RTA_OIF]), "") if RTA_OIF in at else ""
        extra = _extra(at, dump.names) if _EXTRA & at.keys() else ""
        if proto in _KERNEL_MADE and table == MAIN:
            if not extra:  # else it differs from the route that the kernel makes
                dump.connected.add((dev, dst))
            return None
        type_ = _TYPE_NAMES[kind]
        metric = u32(at[_RTA_PRIORITY]) if _RTA_PRIORITY in at else 0
        duplicate = dump.duplicates[dst, metric, tos, table]
        dump.duplicates[dst, metric, tos, table] += 1
        metric = 0 if v6 and metric == _V6_METRIC else metric
        via = address_text(at[_RTA_GATEWAY]) if _RTA_GATEWAY in at else ""
        src = address_text(at[_RTA_PREFSRC]) if _RTA_PREFSRC in at else ""
        word = SCOPE_NAMES.get(scope, str(scope))
        if v6:  # it has no scopes: the gateway decides, as it does for the scope of an IPv4 route
            word = "global" if via or type_ != "unicast" else "link"
        dev = dev if type_ == "unicast" else ""
        onlink = bool(flags & _RTNH_F_ONLINK)
        return Route(dump.netns, dst, via, dev, src, word, proto, onlink, type_, metric, duplicate, extra, tos, table)


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


#: The request for the IPv6 routes that hold a learned path MTU.
CACHED_V6 = RTMSG.pack(socket.AF_INET6, 0, 0, 0, 0, 0, 0, 0, 0x200)  # RTM_F_CLONED


def forget(cached: bytes) -> Request:
    """Remove such a route, given as it was dumped."""
    family_, dst_len, src_len, tos, table, _, _, _, flags = RTMSG.unpack_from(cached)
    at = attr_dict(cached, 12)
    body = RTMSG.pack(family_, dst_len, src_len, tos, table, 0, 0, 0, flags)
    return _DELROUTE, 0, body + b"".join(attr(kind, bytes(at[kind])) for kind in (RTA_DST, RTA_OIF) if kind in at)
