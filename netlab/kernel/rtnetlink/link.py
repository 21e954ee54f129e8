"""Links of every kind: what all of them have.  Numbers are those of linux/if_link.h.

A kind of link has a class in ``netlab.objects`` and, where it has attributes of its own, a subclass of ``LinkCodec`` in a module of its own.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence

from netlab.kernel.host import netns as ns
from netlab.kernel.rtnetlink import deviation, linksysctls
from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump, RawLink, Request
from netlab.kernel.rtnetlink.socket import (
    APPEND,
    CREATE,
    EXCL,
    NetlinkSocket,
    attr,
    attr_dict,
    attr_str,
    attr_u8,
    attr_u32,
    attrs,
    text,
)
from netlab.kernel.rtnetlink.values import (
    IFF_UP,
    IFLA_LINKINFO,
    INFO_DATA,
    INFO_KIND,
    INFO_SLAVE_DATA,
    INFO_SLAVE_KIND,
    NESTED,
    NEWLINK,
    SETLINK,
    ifinfo,
    mac_bytes,
    u32,
)
from netlab.objects import Deviation, Obj
from netlab.objects.links import FALLBACKS, End

_DELLINK, _GETLINK, _NEWLINKPROP, _DELLINKPROP = 17, 18, 108, 109
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_OPERSTATE, _IFLA_IFALIAS, _IFLA_AF_SPEC, _IFLA_EXT_MASK, _IFLA_LINK_NETNSID = 16, 20, 26, 29, 37
_IFLA_PROP_LIST, _IFLA_ALT_IFNAME = 52, 53
_IFF_RUNNING, _IFF_LOWER_UP = 0x40, 0x10000
_INET6_CONF, _INET6_ADDR_GEN_MODE = 2, 8
_ADDR_GEN_MODES = ("eui64", "none", "stable_secret", "random")
_OPER_UP = (0, 6)  # IF_OPER_UNKNOWN, IF_OPER_UP: packets pass
_DUMP = ifinfo() + attr_u32(_IFLA_EXT_MASK, 8)  # RTEXT_FILTER_SKIP_STATS


class LinkCodec:
    """A kind of link: ``kind`` is the kernel's name for it."""

    kind: str
    PAIRED = False  # whether a link of this kind has another end, which may be in another namespace
    MTU_LATER = False  # whether the MTU needs a request of its own

    def data(self, link: Obj, handle: Handle, peers: Sequence[Handle]) -> bytes:
        """The attributes of this kind alone (IFLA_INFO_DATA) in the request that makes a link; raises NoSuchLink."""
        return b""

    def decode(self, link: RawLink, ends: Sequence[End], dump: NamespaceDump) -> Obj:
        """The object: ``ends`` are those that the netlab object has, the own first."""
        raise NotImplementedError

    def requests(self, link: Obj, end: End, handle: Handle, peers: Sequence[Handle], master: int) -> list[Request]:
        """Make the link; ``master`` is the index of the bridge that it becomes a port of, or 0."""
        data = self.data(link, handle, peers)
        index = handle.reserve(end)
        body = identity(end, index, mtu=not self.MTU_LATER)
        body += attr_u32(_IFLA_MASTER, master) if master else b""
        info = attr_str(INFO_KIND, self.kind) + (attr(INFO_DATA, data) if data else b"")
        made = (NEWLINK, CREATE | EXCL, body + attr(IFLA_LINKINFO, info))
        return [made, set_link(index, mtu=end.mtu)] if self.MTU_LATER else [made]


def identity(end: End, index: int, *, mtu: bool = True) -> bytes:
    """The start of a request that makes a link."""
    body = ifinfo(index) + attr_str(_IFLA_IFNAME, end.name)
    body += attr(_IFLA_ADDRESS, mac_bytes(end.mac)) if end.mac else b""
    return body + attr_u32(_IFLA_MTU, end.mtu) if mtu else body


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
    """Change the given attributes of a link; ``master`` 0 takes it out of its bridge."""
    body = ifinfo(index, up)
    body += attr(_IFLA_ADDRESS, mac_bytes(mac)) if mac else b""
    body += attr_u32(_IFLA_MTU, mtu) if mtu else b""
    body += attr_u32(_IFLA_MASTER, master) if master is not None else b""
    body += attr_str(_IFLA_IFALIAS, alias) if alias else b""
    if addrgen:
        mode = attr_u8(_INET6_ADDR_GEN_MODE, _ADDR_GEN_MODES.index(addrgen))
        body += attr(_IFLA_AF_SPEC, attr(socket.AF_INET6, mode))
    return SETLINK, 0, body


def _altname(index: int, name: str, *, remove: bool = False) -> Request:
    body = ifinfo(index) + attr(_IFLA_PROP_LIST | NESTED, attr_str(_IFLA_ALT_IFNAME, name))
    return (_DELLINKPROP, 0, body) if remove else (_NEWLINKPROP, CREATE | EXCL | APPEND, body)


def finish(index: int, end: End) -> list[Request]:
    """What a new link needs beside the request that made it, offloads apart."""
    requests = [_altname(index, end.altname)] if end.altname else []
    if end.tells_addrgen:
        requests.append(set_link(index, addrgen=end.addrgen))
    if end.up:
        requests.append(set_link(index, up=True))
    return requests


def change(index: int, end: End, have: End) -> list[Request]:
    """Turn ``have`` into ``end``, offloads apart."""
    requests = []
    if end.altname != have.altname:
        requests += [_altname(index, have.altname, remove=True)] if have.altname else []
        requests += [_altname(index, end.altname)] if end.altname else []
    mac = end.mac if end.mac != have.mac else ""
    addrgen = end.addrgen if end.addrgen != have.addrgen else ""
    if end.mtu != have.mtu:  # by itself: below 1280 the kernel takes IPv6 off a link, and refuses its attributes
        requests.append(set_link(index, mtu=end.mtu))
    if mac or addrgen:
        requests.append(set_link(index, mac=mac, addrgen=addrgen))
    requests += [deviation.restore(index, attribute) for attribute in have.deviations]
    if end.up != have.up:
        requests.append(set_link(index, up=end.up))
    return requests


def delete(name: str, index: int) -> Request:
    """Remove a link; a veth takes its peer along.  The kernel ignores that for a fallback device without an error."""
    return set_link(index, up=False) if name in FALLBACKS else (_DELLINK, 0, ifinfo(index))


def quoted(request: Request) -> str:
    """Words that only the shell line behind this request has, of the lines of its object."""
    kind, flags, _ = request
    if kind == NEWLINK:
        return " link add " if flags & CREATE else " type bridge_slave "
    words = {_NEWLINKPROP: " property add ", _DELLINKPROP: " property del ", SETLINK: " link set "}
    return words.get(kind, "")


def links(sock: NetlinkSocket) -> dict[int, RawLink]:
    """All links of the socket's namespace, by index."""
    decoded = (_decode(payload) for _, payload in sock.dump(_GETLINK, _DUMP))
    return {link.number: link for link in decoded}


def named(sock: NetlinkSocket, name: str) -> RawLink | None:
    """The link of that name; None where there is none."""
    reply = sock.ask(_GETLINK, _DUMP + attr_str(_IFLA_IFNAME, name))
    return _decode(reply[1]) if reply else None


def links_up(spaces: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The links of namespaces that are set up, as (namespace, name): a veth pair with both ends up has its carrier."""

    def names(_: str) -> list[str]:
        with NetlinkSocket() as sock:
            return [link.name for link in links(sock).values() if link.up]

    return frozenset((netns, name) for netns, there in ns.each(spaces, names).items() for name in there)


def settled(sock: NetlinkSocket, index: int) -> bool:
    """Whether the link's operational state has followed its carrier: until then a bridge forwards nothing to this port,
    and the link sends nothing.  Since Linux 6.8 the question itself makes it follow.
    """
    reply = sock.ask(_GETLINK, ifinfo(index) + attr_u32(_IFLA_EXT_MASK, 8))
    flags = struct.unpack_from("=I", reply[1], 8)[0] if reply else 0
    return bool(flags & _IFF_RUNNING) or not flags & _IFF_LOWER_UP


def _decode(payload: memoryview) -> RawLink:
    index, flags = struct.unpack_from("=iI", payload, 4)
    at = attr_dict(payload, 16)
    kind, data, port = "", b"", {}
    info: dict[int, memoryview] = {}
    port_deviations: tuple[Deviation, ...] = ()
    if IFLA_LINKINFO in at:
        info = attr_dict(at[IFLA_LINKINFO])
        kind = text(info[INFO_KIND]) if INFO_KIND in info else ""
        data = bytes(info[INFO_DATA]) if INFO_DATA in info else b""
        if INFO_SLAVE_DATA in info and text(info[INFO_SLAVE_KIND]) == "bridge":
            slave = attr_dict(info[INFO_SLAVE_DATA])
            port = {number: slave[number][0] for number in deviation.PORT_FIELDS if number in slave}
            port_deviations = deviation.port_deviations(slave)
    addrgen = "eui64"
    conf: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    if _IFLA_AF_SPEC in at:
        spec = attr_dict(at[_IFLA_AF_SPEC])
        v6 = attr_dict(spec.get(socket.AF_INET6, b""))
        mode = v6.get(_INET6_ADDR_GEN_MODE)
        addrgen = _ADDR_GEN_MODES[mode[0]] if mode is not None else "none"  # a link without IPv6 makes no address
        v4 = spec[socket.AF_INET][4:] if socket.AF_INET in spec else None  # one attribute, IFLA_INET_CONF
        conf = linksysctls.conf(v4, 0), linksysctls.conf(v6.get(_INET6_CONF), 1)
    altname = ""
    if _IFLA_PROP_LIST in at:
        altname = next((text(value) for _, value in attrs(at[_IFLA_PROP_LIST])), "")
    return RawLink(
        index,
        text(at[_IFLA_IFNAME]),
        kind,
        bytes(at[_IFLA_ADDRESS]).hex(":") if _IFLA_ADDRESS in at else "",
        u32(at[_IFLA_MTU]),
        bool(flags & IFF_UP),
        u32(at[_IFLA_MASTER]) if _IFLA_MASTER in at else 0,
        u32(at[_IFLA_LINK]) if _IFLA_LINK in at else 0,
        struct.unpack("=i", at[_IFLA_LINK_NETNSID])[0] if _IFLA_LINK_NETNSID in at else None,
        addrgen,
        altname,
        text(at[_IFLA_IFALIAS]) if _IFLA_IFALIAS in at else "",
        data,
        port,
        _IFLA_OPERSTATE not in at or at[_IFLA_OPERSTATE][0] in _OPER_UP,
        deviation.link_deviations(flags, at, kind, info) if index != 1 else (),
        port_deviations,
        conf,
    )
