"""What the kernel has, as objects: the inverse of ``rtnl``.

One namespace at a time is read into a ``Namespace`` picture (links by index, addresses, routes, neighbours); pairing
the two ends of veths needs all the pictures of a lab, so it comes after.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import Counter

from netlab.kernel.rtnetlink import deviations as odd
from netlab.kernel.rtnetlink import linkconf, steering
from netlab.kernel.rtnetlink import requests as rtnl
from netlab.kernel.rtnetlink.raw import Picture, RawLink
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr_dict, attr_u32, attrs, text
from netlab.objects import Addr, Fdb, Neigh, Odd, Route
from netlab.objects.host import LOOPBACK

_SKIP_STATS = 8  # RTEXT_FILTER_SKIP_STATS
_SCOPES = {number: name for name, number in rtnl.SCOPES.items()}
_TYPES = {number: name for name, number in rtnl.TYPES.items()}
_KERNEL_MADE = (2, 9)  # RTPROT_KERNEL, RTPROT_RA
_V6_METRIC = 1024  # IP6_RT_PRIO_USER: what an IPv6 route gets that names no metric
# Devices that some modules put into every new namespace: never anybody's work.
FALLBACKS = frozenset(
    ("lo", "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0", "teql0")
)


_OPER_UP = (0, 6)  # IF_OPER_UNKNOWN, IF_OPER_UP: what the kernel lets work
_INET6_CONF = 2  # IFLA_INET6_CONF
_PORT_WANTED = (odd.PORT_STATE, rtnl.BRPORT_MODE, rtnl.BRPORT_LEARNING, rtnl.BRPORT_ISOLATED)
_LINK_REQUEST = rtnl.ifinfo() + attr_u32(rtnl.IFLA_EXT_MASK, _SKIP_STATS)


def links(sock: NetlinkSocket) -> dict[int, RawLink]:
    """All links of the socket's namespace, by index."""
    found = {}
    for _, payload in sock.dump(rtnl.GETLINK, _LINK_REQUEST):
        link = _link(payload)
        found[link.number] = link
    return found


def _link(payload: memoryview) -> RawLink:
    index, flags = struct.unpack_from("=iI", payload, 4)
    at = attr_dict(payload, 16)
    kind, data, port = "", {}, {}
    info: dict[int, memoryview] = {}
    port_odds: tuple[Odd, ...] = ()
    if rtnl.IFLA_LINKINFO in at:
        info = attr_dict(at[rtnl.IFLA_LINKINFO])
        kind = text(info[rtnl.INFO_KIND]) if rtnl.INFO_KIND in info else ""
        if kind == "vxlan" and rtnl.INFO_DATA in info:
            data = {number: bytes(value) for number, value in attrs(info[rtnl.INFO_DATA])}
        if rtnl.INFO_SLAVE_DATA in info and text(info[rtnl.INFO_SLAVE_KIND]) == "bridge":
            slave = attr_dict(info[rtnl.INFO_SLAVE_DATA])
            port = {number: slave[number][0] for number in _PORT_WANTED if number in slave}
            port_odds = odd.port_odds(slave)
    addrgen = "eui64"
    conf: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    if rtnl.IFLA_AF_SPEC in at:
        spec = attr_dict(at[rtnl.IFLA_AF_SPEC])
        v6 = attr_dict(spec.get(socket.AF_INET6, b""))
        mode = v6.get(rtnl.INET6_ADDR_GEN_MODE)
        addrgen = rtnl.ADDR_GEN_MODES[mode[0]] if mode is not None else "none"  # a link without IPv6 makes no address
        v4 = spec[socket.AF_INET][4:] if socket.AF_INET in spec else None  # one attribute, IFLA_INET_CONF
        conf = linkconf.conf(v4, 0), linkconf.conf(v6.get(_INET6_CONF), 1)
    altname = ""
    if rtnl.IFLA_PROP_LIST in at:
        altname = next((text(value) for _, value in attrs(at[rtnl.IFLA_PROP_LIST])), "")
    return RawLink(
        index,
        text(at[rtnl.IFLA_IFNAME]),
        kind,
        bytes(at[rtnl.IFLA_ADDRESS]).hex(":") if rtnl.IFLA_ADDRESS in at else "",
        _u32(at[rtnl.IFLA_MTU]),
        bool(flags & rtnl.IFF_UP),
        _u32(at[rtnl.IFLA_MASTER]) if rtnl.IFLA_MASTER in at else 0,
        _u32(at[rtnl.IFLA_LINK]) if rtnl.IFLA_LINK in at else 0,
        struct.unpack("=i", at[rtnl.IFLA_LINK_NETNSID])[0] if rtnl.IFLA_LINK_NETNSID in at else None,
        addrgen,
        altname,
        text(at[rtnl.IFLA_IFALIAS]) if rtnl.IFLA_IFALIAS in at else "",
        data,
        port,
        odd.IFLA_OPERSTATE not in at or at[odd.IFLA_OPERSTATE][0] in _OPER_UP,
        odd.link_odds(flags, at, kind, info) if index != 1 else (),
        port_odds,
        conf,
    )


def _u32(value: memoryview) -> int:
    number: int = struct.unpack("=I", value)[0]
    return number


def picture(sock: NetlinkSocket, netns: str) -> Picture:
    """Everything of one namespace that a State can hold, but sysctls, offloads, tables and listeners."""
    found = Picture(links(sock))
    names = {index: link.name for index, link in found.links.items()}
    found.rules, found.lacks, tables = steering.rules(sock, netns)
    connected = _routes(sock, netns, names, found)
    for table in sorted(tables):
        _routes(sock, netns, names, found, table)
    _addrs(sock, netns, names, found, connected)
    found.qdiscs = steering.qdiscs(sock, netns, names)
    for _, payload in sock.dump(rtnl.GETNEIGH, rtnl._NDMSG.pack(0, 0, 0, 0, 0)):
        index, state = struct.unpack_from("=iH", payload, 4)
        if not state & rtnl.NUD_NOARP and index in names:
            at = attr_dict(payload, 12)
            if rtnl.NDA_LLADDR in at and len(at[rtnl.NDA_LLADDR]) == 6:
                neighbour = Neigh(netns, names[index], _address(at[rtnl.NDA_DST]), bytes(at[rtnl.NDA_LLADDR]).hex(":"))
                (found.neighs if state & rtnl.NUD_PERMANENT else found.learned).append(neighbour)
    kinds = {link.kind for link in found.links.values()}
    if "vxlan" in kinds or "bridge" in kinds:
        _fdbs(sock, netns, names, found)
    return found


def _fdbs(sock: NetlinkSocket, netns: str, names: dict[int, str], found: Picture) -> None:
    """Forwarding entries that somebody made: those of VXLAN devices, and of bridges all but the links' own MACs."""
    macs = {bytes.fromhex(link.mac.replace(":", "")) for link in found.links.values()}
    for _, payload in sock.dump(rtnl.GETNEIGH, rtnl._NDMSG.pack(rtnl.AF_BRIDGE, 0, 0, 0, 0)):
        _, index, state, flags, _ = rtnl._NDMSG.unpack_from(payload)
        if not state & (rtnl.NUD_PERMANENT | rtnl.NUD_NOARP) or index not in names:
            continue
        link = found.links[index]
        if flags & rtnl.NTF_SELF and link.kind != "vxlan":
            continue  # multicast groups that the link listens to
        at = attr_dict(payload, 12)
        raw = at[rtnl.NDA_LLADDR]
        word = "permanent" if state & rtnl.NUD_PERMANENT else "static"
        if rtnl.NDA_DST in at:
            extra = _fdb_extra(at, names)
            found.fdbs.append(Fdb(netns, names[index], bytes(raw).hex(":"), _address(at[rtnl.NDA_DST]), extra, word))
        elif rtnl.NDA_MASTER in at and not (word == "permanent" and raw in macs):
            vlan = struct.unpack("=H", at[rtnl.NDA_VLAN])[0] if rtnl.NDA_VLAN in at else 0
            own = link.kind == "bridge"
            found.fdbs.append(Fdb(netns, names[index], bytes(raw).hex(":"), "", "", word, vlan, own))


def _fdb_extra(at: dict[int, memoryview], names: dict[int, str]) -> str:
    words = []
    if rtnl.NDA_PORT in at:
        words.append(f"port {struct.unpack('!H', at[rtnl.NDA_PORT])[0]}")
    if rtnl.NDA_VNI in at:
        words.append(f"vni {_u32(at[rtnl.NDA_VNI])}")
    if rtnl.NDA_IFINDEX in at:
        words.append(f"via {names.get(_u32(at[rtnl.NDA_IFINDEX]), '?')}")
    return " ".join(words)


def _address(raw: memoryview) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, bytes(raw))


def _routes(
    sock: NetlinkSocket, netns: str, names: dict[int, str], found: Picture, table: int = rtnl.TABLE_MAIN
) -> set[tuple[str, str]]:
    """Fill in a table's routes; returns the connected ones that the kernel made, as (link, CIDR)."""
    connected: set[tuple[str, str]] = set()
    twins: Counter[tuple[str, int, int]] = Counter()
    if table < 256:
        request = struct.pack("=BBBBBBBBI", 0, 0, 0, 0, table, 0, 0, 0, 0)
    else:
        request = struct.pack("=BBBBBBBBI", 0, 0, 0, 0, 0, 0, 0, 0, 0) + attr_u32(rtnl.RTA_TABLE, table)
    try:
        parts = sock.dump(rtnl.GETROUTE, request)
    except OSError as error:
        if error.errno != errno.ENOENT or table == rtnl.TABLE_MAIN:
            raise
        return connected  # a rule leads to a table that has no route
    for _, payload in parts:
        fam, dst_len, _, tos, number, proto, scope, kind, flags = struct.unpack_from("=BBBBBBBBI", payload)
        at = attr_dict(payload, 12)
        if number != rtnl.TABLE_MAIN and rtnl.RTA_TABLE in at:
            number = _u32(at[rtnl.RTA_TABLE])
        if number != table or fam not in (socket.AF_INET, socket.AF_INET6) or kind not in _TYPES:
            continue
        empty = "0.0.0.0" if fam == socket.AF_INET else "::"
        dst = f"{_address(at[rtnl.RTA_DST]) if rtnl.RTA_DST in at else empty}/{dst_len}"
        dev = names.get(_u32(at[rtnl.RTA_OIF]), "") if rtnl.RTA_OIF in at else ""
        extra = _extra(at, names) if _EXTRA & at.keys() else ""
        if proto in _KERNEL_MADE and table == rtnl.TABLE_MAIN:
            if not extra:  # else it is to be made as the kernel makes it
                connected.add((dev, dst))
            continue
        type_ = _TYPES[kind]
        metric = _u32(at[rtnl.RTA_PRIORITY]) if rtnl.RTA_PRIORITY in at else 0
        v6 = fam == socket.AF_INET6
        via = _address(at[rtnl.RTA_GATEWAY]) if rtnl.RTA_GATEWAY in at else ""
        twin = twins[dst, metric, tos]
        twins[dst, metric, tos] += 1
        found.routes.append(
            Route(
                netns,
                dst,
                via,
                "" if type_ != "unicast" else dev,
                _address(at[rtnl.RTA_PREFSRC]) if rtnl.RTA_PREFSRC in at else "",
                # IPv6 has no scopes: what a v4 route says by them is told from its gateway.
                ("global" if via or type_ != "unicast" else "link") if v6 else _SCOPES.get(scope, str(scope)),
                proto,
                bool(flags & rtnl.RTNH_F_ONLINK),
                type_,
                0 if v6 and metric == _V6_METRIC else metric,
                twin,
                extra,
                tos,
                table,
            )
        )
    return connected


_RTA_METRICS, _RTA_MULTIPATH, _RTA_PREF, _RTA_ENCAP, _RTA_NH_ID = 8, 9, 20, 22, 30
_EXTRA = frozenset((_RTA_METRICS, _RTA_MULTIPATH, _RTA_ENCAP, _RTA_NH_ID))
# RTAX_*, as ip-route has them; a lock is told as an attribute of its own.
_METRICS = {2: "mtu", 3: "window", 4: "rtt", 5: "rttvar", 6: "ssthresh", 7: "cwnd", 8: "advmss", 9: "reordering"}
_METRICS |= {10: "hoplimit", 11: "initcwnd", 12: "features", 13: "rto_min", 14: "initrwnd", 15: "quickack"}
_RTAX_LOCK, _RTAX_CC = 1, 16


def _extra(at: dict[int, memoryview], names: dict[int, str]) -> str:
    """What somebody gave a route beside its way: ``mtu 1300 advmss 1260``."""
    words = []
    if _RTA_METRICS in at:
        metrics = attr_dict(at[_RTA_METRICS])
        locked = _u32(metrics[_RTAX_LOCK]) if _RTAX_LOCK in metrics else 0
        for number, value in metrics.items():
            if number in _METRICS:
                words.append(f"{_METRICS[number]} {'lock ' if locked >> number & 1 else ''}{_u32(value)}")
            elif number == _RTAX_CC:
                words.append(f"congctl {text(value)}")
    if _RTA_NH_ID in at:
        words.append(f"nhid {_u32(at[_RTA_NH_ID])}")
    if _RTA_ENCAP in at:
        words.append("encap")
    if _RTA_MULTIPATH in at:
        raw, offset = at[_RTA_MULTIPATH], 0
        while offset + 8 <= len(raw):
            size, _, weight, index = struct.unpack_from("=HBBi", raw, offset)
            if size < 8:
                break
            hop = attr_dict(raw[offset + 8 : offset + size])
            via = f" via {_address(hop[rtnl.RTA_GATEWAY])}" if rtnl.RTA_GATEWAY in hop else ""
            words.append(f"nexthop{via} dev {names.get(index, str(index))} weight {weight + 1}")
            offset += (size + 3) & ~3
    return " ".join(words)


def _addrs(
    sock: NetlinkSocket, netns: str, names: dict[int, str], found: Picture, connected: set[tuple[str, str]]
) -> None:
    given: set[str] = set()
    for _, payload in sock.dump(rtnl.GETADDR, struct.pack("=BBBBi", 0, 0, 0, 0, 0)):
        fam, length, flags, scope, index = struct.unpack_from("=BBBBi", payload)
        at = attr_dict(payload, 8)
        if fam not in (socket.AF_INET, socket.AF_INET6):
            continue
        if index == 1 and (own := _own(fam, length, at)):
            given.add(own)
            continue
        if fam == socket.AF_INET6 and scope == rtnl.SCOPES["link"]:
            continue
        if index not in names:
            continue  # its link came after the links were read
        raw = at[rtnl.IFA_LOCAL] if rtnl.IFA_LOCAL in at else at[rtnl.IFA_ADDRESS]
        address = f"{_address(raw)}/{length}"
        far = at.get(rtnl.IFA_ADDRESS, raw)
        peer = f"{_address(far)}/{length}" if far != raw else ""
        dev = names[index]
        whole = length == 32 if fam == socket.AF_INET else length == 128
        network = _network(bytes(far), length)
        link = found.links[index]
        prefix_route = whole or not link.up or (dev, network) in connected
        secondary = fam == socket.AF_INET and bool(flags & rtnl.IFA_F_SECONDARY)
        found.addrs.append(
            Addr(netns, dev, address, _SCOPES.get(scope, str(scope)), prefix_route, peer, secondary=secondary)
        )
    lo = found.links[1]
    if lo.up:  # where IPv6 is off, on this host or on lo, there is no ::1 to be missed
        v6 = bool(lo.conf[1]) and not linkconf.disabled(lo.conf[1])
        found.lacks += [one for one in LOOPBACK if one not in given and (v6 or ":" not in one)]


def _network(raw: bytes, length: int) -> str:
    """The CIDR that an address is in."""
    rest = 8 * len(raw) - length
    return f"{_address(memoryview((int.from_bytes(raw) >> rest << rest).to_bytes(len(raw))))}/{length}"


def _own(fam: int, length: int, at: dict[int, memoryview]) -> str:
    """Which of the kernel's addresses of lo it is, if it is one."""
    raw = at.get(rtnl.IFA_LOCAL, at.get(rtnl.IFA_ADDRESS))
    place = LOOPBACK[fam == socket.AF_INET6]
    return place if raw is not None and f"{_address(raw)}/{length}" == place else ""
