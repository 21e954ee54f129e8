"""Objects as rtnetlink requests.

Each function returns requests (type, flags, body) for one namespace's socket.  Numbers are those of
linux/rtnetlink.h, if_link.h, neighbour.h and if_addr.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from ipaddress import ip_interface

from netlab.kernel.rtnetlink.socket import APPEND, CREATE, EXCL, REPLACE, attr, attr_dict, attr_str, attr_u8, attr_u32
from netlab.objects import Addr, Fdb, Neigh, Port, Route, Veth, Vxlan
from netlab.objects.links import Device, End

Request = tuple[int, int, bytes]
IndexOf = Callable[[str], int]

(NEWLINK, DELLINK, GETLINK, SETLINK) = range(16, 20)
(NEWADDR, DELADDR, GETADDR) = range(20, 23)
(NEWROUTE, DELROUTE, GETROUTE) = range(24, 27)
(NEWNEIGH, DELNEIGH, GETNEIGH) = range(28, 31)
GETNSID = 90
NEWLINKPROP, DELLINKPROP = 108, 109

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_LINK_NETNSID = 20, 26, 28, 29, 37
IFLA_PROP_LIST, IFLA_ALT_IFNAME = 52, 53
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_INFO_PEER = 1
VXLAN_ID, VXLAN_LINK, VXLAN_LOCAL, VXLAN_LEARNING, VXLAN_PORT, VXLAN_LOCAL6 = 1, 3, 4, 7, 15, 17
BRPORT_MODE, BRPORT_LEARNING, BRPORT_ISOLATED = 4, 8, 33  # MODE is what bridge(8) calls hairpin
INET6_ADDR_GEN_MODE = 8
ADDR_GEN_MODES = ("eui64", "none", "stable_secret", "random")
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x02, 0x200
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
RTNH_F_ONLINK = 4
IFA_F_SECONDARY = 0x01
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
TYPES = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_PORT, NDA_VNI, NDA_IFINDEX, NDA_MASTER = 1, 2, 5, 6, 7, 8, 9
NUD_NOARP, NUD_PERMANENT, NTF_SELF, NTF_MASTER = 0x40, 0x80, 0x02, 0x04
AF_BRIDGE = 7
NESTED = 0x8000  # NLA_F_NESTED: newer request types insist on it
TABLE_MAIN = 254

_IFINFO = struct.Struct("=BxHiII")
_NDMSG = struct.Struct("=BxxxiHBB")
IFF_UP = 1


def ifinfo(index: int = 0, up: bool | None = None) -> bytes:
    """struct ifinfomsg; ``up`` None leaves the flags as they are."""
    return _IFINFO.pack(0, 0, index, IFF_UP if up else 0, 0 if up is None else IFF_UP)


def mac_bytes(mac: str) -> bytes:
    """A MAC address as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def packed(address: str) -> bytes:
    """An IPv4 or IPv6 address as bytes in network order."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def family(address: str) -> int:
    """AF_INET or AF_INET6 of an address or CIDR."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


# -- links ------------------------------------------------------------------------------------------------------------


def _identity(end: End, index: int) -> bytes:
    return (
        ifinfo(index)
        + attr_str(IFLA_IFNAME, end.name)
        + attr(IFLA_ADDRESS, mac_bytes(end.mac))
        + attr_u32(IFLA_MTU, end.mtu)
    )


def add_veth(veth: Veth, peer_fd: int, index: int, peer_index: int, master: int) -> Request:
    """The pair in one request: both names, MACs, MTUs, indexes, the peer's namespace, the bridge it is a port of."""
    peer = _identity(veth.peer, peer_index) + attr_u32(IFLA_NET_NS_FD, peer_fd)
    info = attr_str(INFO_KIND, "veth") + attr(INFO_DATA, attr(VETH_INFO_PEER, peer))
    body = _identity(veth.end, index) + (attr_u32(IFLA_MASTER, master) if master else b"")
    return NEWLINK, CREATE | EXCL, body + attr(IFLA_LINKINFO, info)


def add_device(device: Device, index: int) -> Request:
    """A device without options.  A bridge keeps a MAC that is given (addr_assign_type 3), else it follows its ports.

    Its MTU is to be set afterwards: a bridge's that is given here would go on following the ports'.
    """
    body = ifinfo(index) + attr_str(IFLA_IFNAME, device.dev) + attr(IFLA_ADDRESS, mac_bytes(device.mac))
    return NEWLINK, CREATE | EXCL, body + attr(IFLA_LINKINFO, attr_str(INFO_KIND, device.kind))


def add_vxlan(vxlan: Vxlan, index: int, lower: int) -> Request:
    """A VXLAN device on a lower device."""
    local = VXLAN_LOCAL6 if ":" in vxlan.local else VXLAN_LOCAL
    data = (
        attr_u32(VXLAN_ID, vxlan.vni)
        + attr_u32(VXLAN_LINK, lower)
        + attr(local, packed(vxlan.local))
        + attr(VXLAN_PORT, struct.pack("!H", vxlan.port))
        + attr_u8(VXLAN_LEARNING, int(vxlan.learning))
    )
    info = attr_str(INFO_KIND, "vxlan") + attr(INFO_DATA, data)
    return NEWLINK, CREATE | EXCL, _identity(vxlan.end(), index) + attr(IFLA_LINKINFO, info)


def set_link(
    index: int,
    *,
    up: bool | None = None,
    mtu: int = 0,
    mac: str = "",
    addrgen: str = "",
    master: int | None = None,
    alias: str = "",
) -> Request:
    """Change what is given of a link; ``master`` 0 takes it out of its bridge."""
    body = ifinfo(index, up)
    body += attr(IFLA_ADDRESS, mac_bytes(mac)) if mac else b""
    body += attr_u32(IFLA_MTU, mtu) if mtu else b""
    body += attr_u32(IFLA_MASTER, master) if master is not None else b""
    body += attr_str(IFLA_IFALIAS, alias) if alias else b""
    if addrgen:
        mode = attr_u8(INET6_ADDR_GEN_MODE, ADDR_GEN_MODES.index(addrgen))
        body += attr(IFLA_AF_SPEC, attr(socket.AF_INET6, mode))
    return SETLINK, 0, body


def altname(index: int, name: str, *, remove: bool = False) -> Request:
    """Give a link an alternative name, or take it away."""
    body = ifinfo(index) + attr(IFLA_PROP_LIST | NESTED, attr_str(IFLA_ALT_IFNAME, name))
    return (DELLINKPROP, 0, body) if remove else (NEWLINKPROP, CREATE | EXCL | APPEND, body)


def port_flags(index: int, port: Port) -> Request:
    """What a bridge port does: hairpin, isolated, learning."""
    data = (
        attr_u8(BRPORT_MODE, int(port.hairpin))
        + attr_u8(BRPORT_LEARNING, int(port.learning))
        + attr_u8(BRPORT_ISOLATED, int(port.isolated))
    )
    info = attr_str(INFO_SLAVE_KIND, "bridge") + attr(INFO_SLAVE_DATA, data)
    return NEWLINK, 0, ifinfo(index) + attr(IFLA_LINKINFO, info)


def del_link(index: int) -> Request:
    """Remove a link; a veth takes its peer along."""
    return DELLINK, 0, ifinfo(index)


# -- addresses, routes, neighbours ------------------------------------------------------------------------------------


def addr(obj: Addr, index: int, *, remove: bool = False) -> Request:
    """Add or remove an address."""
    plain, _, length = obj.address.partition("/")
    raw = packed(plain)
    v6 = len(raw) == 16
    flags = IFA_F_NODAD if v6 else 0
    scope = SCOPES[obj.scope] if obj.scope in SCOPES else int(obj.scope)
    body = struct.pack("=BBBBi", family(plain), int(length), flags, scope, index)
    body += attr(IFA_LOCAL, raw) + attr(IFA_ADDRESS, packed(obj.peer.partition("/")[0]) if obj.peer else raw)
    if not obj.prefix_route:
        body += attr_u32(IFA_FLAGS, flags | IFA_F_NOPREFIXROUTE)  # the header's byte holds only the older flags
    if obj.broadcast:
        body += attr(IFA_BROADCAST, ip_interface(obj.address).network.broadcast_address.packed)
    return (DELADDR, 0, body) if remove else (NEWADDR, CREATE | EXCL, body)


def loopback(address: str) -> Request:
    """The address that lo has by itself."""
    plain, _, length = address.partition("/")
    body = struct.pack("=BBBBi", family(plain), int(length), 0, SCOPES["host"], 1)
    return NEWADDR, CREATE | EXCL, body + attr(IFA_LOCAL, packed(plain)) + attr(IFA_ADDRESS, packed(plain))


def route(obj: Route, index_of: IndexOf, *, verb: str = "add") -> Request:
    """Add, replace or delete (``verb``) a route; of those in other tables and with a tos, netlab only deletes."""
    plain, _, length = obj.dst.partition("/")
    default_scope = "nowhere" if verb == "del" and obj.scope == "global" else obj.scope
    body = struct.pack(
        "=BBBBBBBBI",
        family(plain),
        int(length),
        0,
        obj.tos,
        obj.table if obj.table < 256 else 0,
        obj.proto,
        SCOPES[default_scope] if default_scope in SCOPES else int(default_scope),
        TYPES[obj.type],
        RTNH_F_ONLINK if obj.onlink else 0,
    )
    body += attr(RTA_DST, packed(plain)) if int(length) else b""
    body += attr_u32(RTA_OIF, index_of(obj.dev)) if obj.dev else b""
    body += attr(RTA_GATEWAY, packed(obj.via)) if obj.via else b""
    body += attr(RTA_PREFSRC, packed(obj.src)) if obj.src else b""
    body += attr_u32(RTA_PRIORITY, obj.metric) if obj.metric else b""
    body += attr_u32(RTA_TABLE, obj.table) if obj.table > 255 else b""
    if verb == "del":
        return DELROUTE, 0, body
    return NEWROUTE, CREATE | (REPLACE if verb == "replace" else EXCL), body


RTM_F_CLONED = 0x200
#: The request for the IPv6 routes that hold what was learned of a path.
CACHED_V6 = struct.pack("=BBBBBBBBI", socket.AF_INET6, 0, 0, 0, 0, 0, 0, 0, RTM_F_CLONED)


def forget(cached: bytes) -> Request:
    """Remove such a route, given as it was dumped."""
    family_, dst_len, src_len, tos, table, _, _, _, flags = struct.unpack_from("=BBBBBBBBI", cached)
    at = attr_dict(memoryview(cached), 12)
    body = struct.pack("=BBBBBBBBI", family_, dst_len, src_len, tos, table, 0, 0, 0, flags)
    return DELROUTE, 0, body + b"".join(attr(kind, bytes(at[kind])) for kind in (RTA_DST, RTA_OIF) if kind in at)


def prefix_route(obj: Addr, index: int) -> Request:
    """The connected route that the kernel made for an address, and that somebody deleted."""
    interface = ip_interface(obj.address)
    v6 = interface.version == 6
    body = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET6 if v6 else socket.AF_INET,
        interface.network.prefixlen,
        0,
        0,
        TABLE_MAIN,
        2,  # RTPROT_KERNEL
        SCOPES["global" if v6 else "link"],
        TYPES["unicast"],
        0,
    )
    body += attr(RTA_DST, interface.network.network_address.packed) + attr_u32(RTA_OIF, index)
    body += attr_u32(RTA_PRIORITY, 256) if v6 else attr(RTA_PREFSRC, interface.ip.packed)
    return NEWROUTE, CREATE | REPLACE, body


def neigh(obj: Neigh, index: int, *, remove: bool = False) -> Request:
    """Add (or replace) or remove a permanent neighbour."""
    body = _NDMSG.pack(family(obj.address), index, NUD_PERMANENT, 0, 0) + attr(NDA_DST, packed(obj.address))
    if remove:
        return DELNEIGH, 0, body
    return NEWNEIGH, CREATE | REPLACE, body + attr(NDA_LLADDR, mac_bytes(obj.mac))


def fdb(obj: Fdb, index: int, *, remove: bool = False) -> Request:
    """Add or remove a permanent forwarding entry of a VXLAN device, or remove one of a bridge."""
    body = _NDMSG.pack(AF_BRIDGE, index, NUD_PERMANENT, NTF_SELF if obj.dst or obj.own else NTF_MASTER, 0)
    body += attr(NDA_LLADDR, mac_bytes(obj.mac)) + (attr(NDA_DST, packed(obj.dst)) if obj.dst else b"")
    body += attr(NDA_VLAN, struct.pack("=H", obj.vlan)) if obj.vlan else b""
    body += attr(NDA_PORT, struct.pack("!H", int(port))) if (port := _after("port", obj.extra)) else b""
    body += attr_u32(NDA_VNI, int(vni)) if (vni := _after("vni", obj.extra)) else b""
    return (DELNEIGH, 0, body) if remove else (NEWNEIGH, CREATE | APPEND, body)


def _after(word: str, words: str) -> str:
    """The argument that follows a word."""
    parts = words.split()
    return parts[parts.index(word) + 1] if word in parts else ""


def says(request: Request) -> str:
    """Words by which the shell line behind a request is told from the object's others."""
    kind, flags, _ = request
    if kind == NEWLINK:
        return " link add " if flags & CREATE else " type bridge_slave "
    words = {NEWLINKPROP: " property add ", DELLINKPROP: " property del ", SETLINK: " link set "}
    return words.get(kind, "")
