"""What the kernel has, as objects: the inverse of ``rtnl``.

One namespace at a time is read into a ``Namespace`` picture (links by index, addresses, routes, neighbours); pairing
the two ends of veths needs all the pictures of a lab, so it comes after.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import NamedTuple

from netlab.kernel import rtnl
from netlab.kernel.netlink import NetlinkSocket, attr_dict, attr_u32, attrs, text
from netlab.objects import Addr, Fdb, Neigh, Route

_SKIP_STATS = 8  # RTEXT_FILTER_SKIP_STATS
_SCOPES = {number: name for name, number in rtnl.SCOPES.items()}
_TYPES = {number: name for name, number in rtnl.TYPES.items()}
_KERNEL_MADE = (2, 9)  # RTPROT_KERNEL, RTPROT_RA
_V6_METRIC = 1024  # IP6_RT_PRIO_USER: what an IPv6 route gets that names no metric
# Devices that some modules put into every new namespace: never anybody's work.
FALLBACKS = frozenset(
    ("lo", "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0", "teql0")
)


class RawLink(NamedTuple):
    """One link as the kernel dumps it.  ``number`` is its interface index, ``link`` the peer's or lower device's index, ``nsid`` its namespace's id."""

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
    data: dict[int, bytes]
    port: dict[int, int]


@dataclass(slots=True)
class Picture:
    """What one namespace holds."""

    links: dict[int, RawLink] = field(default_factory=dict)
    addrs: list[Addr] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    neighs: list[Neigh] = field(default_factory=list)
    fdbs: list[Fdb] = field(default_factory=list)

    @property
    def alias(self) -> str:
        """The mark on lo."""
        lo = self.links.get(1)
        return lo.alias if lo else ""


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
    if rtnl.IFLA_LINKINFO in at:
        info = attr_dict(at[rtnl.IFLA_LINKINFO])
        kind = text(info[rtnl.INFO_KIND]) if rtnl.INFO_KIND in info else ""
        if kind == "vxlan" and rtnl.INFO_DATA in info:
            data = {number: bytes(value) for number, value in attrs(info[rtnl.INFO_DATA])}
        if rtnl.INFO_SLAVE_DATA in info and text(info[rtnl.INFO_SLAVE_KIND]) == "bridge":
            slave = attr_dict(info[rtnl.INFO_SLAVE_DATA])
            wanted = (rtnl.BRPORT_MODE, rtnl.BRPORT_LEARNING, rtnl.BRPORT_ISOLATED)
            port = {number: slave[number][0] for number in wanted if number in slave}
    addrgen = "eui64"
    if rtnl.IFLA_AF_SPEC in at:
        v6 = attr_dict(at[rtnl.IFLA_AF_SPEC]).get(socket.AF_INET6)
        mode = attr_dict(v6).get(rtnl.INET6_ADDR_GEN_MODE) if v6 is not None else None
        addrgen = rtnl.ADDR_GEN_MODES[mode[0]] if mode is not None else "eui64"
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
    )


def _u32(value: memoryview) -> int:
    number: int = struct.unpack("=I", value)[0]
    return number


def picture(sock: NetlinkSocket, netns: str) -> Picture:
    """Everything of one namespace that a State can hold, but sysctls, offloads, tables and listeners."""
    found = Picture(links(sock))
    names = {index: link.name for index, link in found.links.items()}
    connected = _routes(sock, netns, names, found)
    _addrs(sock, netns, names, found, connected)
    for _, payload in sock.dump(rtnl.GETNEIGH, rtnl._NDMSG.pack(0, 0, 0, 0, 0)):
        index, state = struct.unpack_from("=iH", payload, 4)
        if state & rtnl.NUD_PERMANENT and index in names:
            at = attr_dict(payload, 12)
            if rtnl.NDA_LLADDR in at and len(at[rtnl.NDA_LLADDR]) == 6:
                address = _address(at[rtnl.NDA_DST])
                found.neighs.append(Neigh(netns, names[index], address, bytes(at[rtnl.NDA_LLADDR]).hex(":")))
    vxlans = {index for index, link in found.links.items() if link.kind == "vxlan"}
    if vxlans:
        for _, payload in sock.dump(rtnl.GETNEIGH, rtnl._NDMSG.pack(rtnl.AF_BRIDGE, 0, 0, 0, 0)):
            index, state = struct.unpack_from("=iH", payload, 4)
            if index in vxlans and state & rtnl.NUD_PERMANENT:
                at = attr_dict(payload, 12)
                if rtnl.NDA_DST in at:
                    mac = bytes(at[rtnl.NDA_LLADDR]).hex(":")
                    found.fdbs.append(Fdb(netns, names[index], mac, _address(at[rtnl.NDA_DST])))
    return found


def _address(raw: memoryview) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, bytes(raw))


def _routes(sock: NetlinkSocket, netns: str, names: dict[int, str], found: Picture) -> set[tuple[str, str]]:
    """Fill in the routes; returns the connected ones that the kernel made, as (link, CIDR)."""
    connected = set()
    twins: Counter[tuple[str, int]] = Counter()
    request = struct.pack("=BBBBBBBBI", 0, 0, 0, 0, rtnl.TABLE_MAIN, 0, 0, 0, 0)
    for _, payload in sock.dump(rtnl.GETROUTE, request):
        fam, dst_len, _, _, table, proto, scope, kind, flags = struct.unpack_from("=BBBBBBBBI", payload)
        at = attr_dict(payload, 12)
        if table != rtnl.TABLE_MAIN or fam not in (socket.AF_INET, socket.AF_INET6) or kind not in _TYPES:
            continue
        empty = "0.0.0.0" if fam == socket.AF_INET else "::"
        dst = f"{_address(at[rtnl.RTA_DST]) if rtnl.RTA_DST in at else empty}/{dst_len}"
        dev = names.get(_u32(at[rtnl.RTA_OIF]), "") if rtnl.RTA_OIF in at else ""
        if proto in _KERNEL_MADE:
            connected.add((dev, dst))
            continue
        type_ = _TYPES[kind]
        metric = _u32(at[rtnl.RTA_PRIORITY]) if rtnl.RTA_PRIORITY in at else 0
        v6 = fam == socket.AF_INET6
        via = _address(at[rtnl.RTA_GATEWAY]) if rtnl.RTA_GATEWAY in at else ""
        twin = twins[dst, metric]
        twins[dst, metric] += 1
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
            )
        )
    return connected


def _addrs(
    sock: NetlinkSocket, netns: str, names: dict[int, str], found: Picture, connected: set[tuple[str, str]]
) -> None:
    for _, payload in sock.dump(rtnl.GETADDR, struct.pack("=BBBBi", 0, 0, 0, 0, 0)):
        fam, length, _, scope, index = struct.unpack_from("=BBBBi", payload)
        at = attr_dict(payload, 8)
        if fam not in (socket.AF_INET, socket.AF_INET6) or index == 1:
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
        network = str(ip_interface(peer or address).network)
        link = found.links[index]
        prefix_route = whole or not link.up or (dev, network) in connected
        found.addrs.append(Addr(netns, dev, address, _SCOPES.get(scope, str(scope)), prefix_route, peer))
