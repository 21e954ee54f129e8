"""Reading: the pictures of a lab's namespaces, put together into a State."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Collection

from netlab.kernel.handles import Handles
from netlab.kernel.host import files
from netlab.kernel.host import netns as ns
from netlab.kernel.host.ethtool import Offloads
from netlab.kernel.host.owners import owner_behind
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.host.sockdiag import Listening
from netlab.kernel.nftables import drift as nft
from netlab.kernel.protocol import Observed
from netlab.kernel.rtnetlink import deviations as odd
from netlab.kernel.rtnetlink import linkconf, steering
from netlab.kernel.rtnetlink import requests as rtnl
from netlab.kernel.rtnetlink.picture import FALLBACKS, picture
from netlab.kernel.rtnetlink.raw import Picture, RawLink
from netlab.kernel.rtnetlink.socket import attr_dict
from netlab.names import Owner
from netlab.objects import File, Floor, Link, Listener, Netns, Obj, Port, State, Sysctl, Veth, Vxlan
from netlab.objects.links import PLAIN, End

# A veth is keyed by the end whose namespace comes first here: the node's.
_KEY_ORDER = {"node": 0, "external": 1, "pod": 2, "router": 3, "underlay": 4}
_SCTP_LISTENING = "10"  # linux/net/sctp/constants.h: SCTP_SS_LISTENING


class Reader:
    """Reads one lab; everything here runs in the worker's thread."""

    def __init__(self, handles: Handles, sysctls: Sysctls, offloads: Offloads, *, listeners: bool) -> None:
        self._handles, self._sysctls, self._offloads, self._listeners = handles, sysctls, offloads, listeners
        self._pictures: dict[str, Picture] = {}
        self._owners: dict[str, Owner] = {}
        self._peers: dict[tuple[int, int], list[tuple[str, RawLink]]] = {}
        self._xfrm = steering.has_xfrm()

    def observe(self, lab: str, like: State, scope: Collection[str] | None = None) -> Observed:
        """See ``Kernel.observe``."""
        objects: list[Obj] = []
        strangers: dict[str, Owner | None] = {}
        wanted: dict[str, list[Obj]] = {}
        for obj in like.values():
            if isinstance(obj, (Sysctl, Listener, File)) or obj.floor is Floor.NFT:
                wanted.setdefault(obj.netns, []).append(obj)
        self._handles.forget_gone()
        for netns in ns.names():
            if not netns.startswith(f"{lab}-") or (scope is not None and netns not in scope):
                continue
            try:
                handle = self._handles.get(netns)
            except OSError:
                strangers[netns] = None
                continue
            found = picture(handle.socket, netns)
            owner = Owner.of(found.alias)
            if owner is None or owner.lab != lab:
                strangers[netns] = owner
                self._handles.forget(netns)
                continue
            handle.links = {link.name: index for index, link in found.links.items()}
            self._pictures[netns] = found
            self._owners[netns] = owner
            objects.append(Netns(netns, owner, found.links[1].up, tuple(found.lacks)))
            with ns.inside(handle.fd):
                objects += self._visit(netns, wanted.get(netns, ()))
        for there in wanted.values():
            objects += [seen for obj in there if isinstance(obj, File) and (seen := _file(obj))]
        for netns, found in self._pictures.items():
            objects += self._devices(netns, found)
            objects += found.addrs
            objects += found.routes
            objects += found.neighs
            objects += found.fdbs
            objects += found.rules
            objects += found.qdiscs
        objects += linkconf.sysctls(self._pictures, wanted, like.values())
        # Not State(objects): the kernel may hold two of what a State tells apart by one key (a neighbour on another
        # VLAN, say), and that must not end as a conflict.
        learned = tuple(neigh for found in self._pictures.values() for neigh in found.learned)
        return Observed(State.of({obj.key: obj for obj in objects}), strangers, learned)

    def _visit(self, netns: str, wanted: list[Obj] | tuple[Obj, ...]) -> list[Obj]:
        """What can only be read from inside: sysctls, listeners, tables (last: that may leave for a scratch place)."""
        objects: list[Obj] = []
        self._sysctls.enter()
        listening: Listening | None = None
        for obj in wanted:
            if isinstance(obj, Sysctl):
                value = self._sysctls.read(obj.path)
                if value is not None:
                    objects.append(Sysctl(netns, obj.path, value, obj.link))
            elif isinstance(obj, Listener) and self._listeners:
                if obj.protocol == "SCTP":
                    if _kernel_sctp(obj.port) or _raw_sctp():
                        objects.append(obj)
                    continue
                listening = listening or Listening()
                if listening.holds(obj.protocol, obj.port, obj.addresses or ("0.0.0.0",)):
                    objects.append(obj)
        if listening:
            listening.close()
        if self._xfrm and self._owners[netns].kind != "pod":
            objects += steering.policies(netns)
        return objects + self._tables(netns, wanted)

    def rules(self, lab: str, like: State, scope: Collection[str]) -> Observed:
        """As ``observe``, but of nothing else than nftables: a change of rules alone need not look at 1,000 links."""
        wanted: dict[str, list[Obj]] = {}
        for obj in like.values():
            if obj.floor is Floor.NFT:
                wanted.setdefault(obj.netns, []).append(obj)
        self._handles.forget_gone()
        objects: list[Obj] = []
        for netns in scope:
            try:
                handle = self._handles.get(netns)
            except OSError:
                continue
            found = owner_behind(handle.socket)
            if found is None or found.lab != lab:
                self._handles.forget(netns)
                continue
            with ns.inside(handle.fd):
                objects += self._tables(netns, wanted.get(netns, ()))
        return Observed(State.of({obj.key: obj for obj in objects}))

    def _tables(self, netns: str, wanted: list[Obj] | tuple[Obj, ...]) -> list[Obj]:
        """The tables; the thread may be in a scratch place afterwards."""
        objects: list[Obj] = []
        with contextlib.suppress(OSError):  # a kernel without nf_tables has no tables
            count, there = nft.look()
            known, digest = self._handles.generations.get(netns, (-1, ""))
            same = not digest or digest == nft.digests(wanted).get(netns)
            if not same:
                self._handles.outdated.add(netns)
            touched = bool(there) and not (same and known == count)
            objects += nft.observed(netns, wanted, there, touched=touched)
        return objects

    # -- links --------------------------------------------------------------------------------------------------------

    def _devices(self, netns: str, found: Picture) -> list[Obj]:
        objects: list[Obj] = []
        for index, link in found.links.items():
            if index == 1 or (link.name in FALLBACKS and not link.up):
                continue
            try:
                objects += self._device(netns, found, link)
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                continue  # it went after the links were listed: a namespace's end takes its links when it likes
            if link.master in found.links and link.port:
                objects.append(
                    Port(
                        netns,
                        link.name,
                        found.links[link.master].name,
                        bool(link.port.get(rtnl.BRPORT_MODE, 0)),
                        bool(link.port.get(rtnl.BRPORT_ISOLATED, 0)),
                        bool(link.port.get(rtnl.BRPORT_LEARNING, 1)),
                        link.port_odds + odd.port_state(link, found.links[link.master]),
                    )
                )
        return objects

    def _device(self, netns: str, found: Picture, link: RawLink) -> list[Obj]:
        if link.kind == "veth":
            other = self._peer(netns, link)
            if other is None:
                return [Link(netns, link.name, "veth")]
            peer_netns, peer = other
            mine, theirs = self._rank(netns, link), self._rank(peer_netns, peer)
            # Told once, by the end that it is keyed by.
            return [Veth(netns, self._end(netns, link), self._end(peer_netns, peer))] if mine < theirs else []
        offload = self._offloads.get(self._handles.get(netns).socket.fileno(), link.name)
        common = (netns, link.name, link.mac, link.mtu, link.number, link.addrgen, offload, link.up, link.odds)
        if link.kind in PLAIN:
            return [PLAIN[link.kind](*common)]
        if link.kind == "vxlan":
            local = link.data.get(rtnl.VXLAN_LOCAL) or link.data.get(rtnl.VXLAN_LOCAL6) or b""
            lower = int.from_bytes(link.data.get(rtnl.VXLAN_LINK, b""), sys.byteorder)
            return [
                Vxlan(
                    *common,
                    vni=struct.unpack("=I", link.data[rtnl.VXLAN_ID])[0],
                    local=_text(local),
                    lower=found.links[lower].name if lower in found.links else "",
                    port=struct.unpack("!H", link.data[rtnl.VXLAN_PORT])[0],
                    learning=bool(link.data.get(rtnl.VXLAN_LEARNING, b"\1")[0]),
                    options=odd.vxlan_options(link.data),
                )
            ]
        return [Link(netns, link.name, link.kind)]

    def _end(self, netns: str, link: RawLink) -> End:
        offload = self._offloads.get(self._handles.get(netns).socket.fileno(), link.name)
        common = (netns, link.name, link.mac, link.mtu, link.number, link.altname, link.addrgen, offload, link.up)
        return End(*common, odd=link.odds)

    def _rank(self, netns: str, link: RawLink) -> tuple[int, str, str]:
        return _KEY_ORDER.get(self._owners[netns].kind, 9), netns, link.name

    def _peer(self, netns: str, link: RawLink) -> tuple[str, RawLink] | None:
        """The other end, if it is in this lab.

        The kernel tells the peer's index and a namespace id that only means something in this namespace.  netlab's own
        indexes are unique in the lab, so the two dumps pair by index; where they leave a doubt the id is looked up.
        """
        if not self._peers:
            for where, found in self._pictures.items():
                for one in found.links.values():
                    if one.kind == "veth":
                        self._peers.setdefault((one.number, one.link), []).append((where, one))
        candidates = [
            (where, one)
            for where, one in self._peers.get((link.link, link.number), ())
            if (where != netns) == (link.nsid is not None) and (where, one.name) != (netns, link.name)
        ]
        if len(candidates) == 1 or not candidates or link.nsid is None:
            return candidates[0] if candidates else None
        for where, one in candidates:
            if self._nsid(netns, where) == link.nsid:
                return where, one
        return None

    def _nsid(self, netns: str, other: str) -> int:
        """The id by which one namespace knows another; -1 where it does not."""
        fd = self._handles.get(other).fd
        body = struct.pack("=BxxxHHI", 0, 8, 3, fd)  # rtgenmsg, then NETNSA_FD
        answer = self._handles.get(netns).socket.ask(rtnl.GETNSID, body)
        if answer is None:
            return -1
        raw = attr_dict(answer[1], 4).get(1)  # NETNSA_NSID
        return int(struct.unpack("=i", raw)[0]) if raw is not None else -1


def _text(raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw) if raw else ""


def _file(obj: File) -> File | None:
    content = files.read(obj.path)
    return File(obj.netns, obj.file, content) if content is not None else None


def _kernel_sctp(port: int) -> bool:
    """Whether a socket of the kernel's own SCTP listens on the port in the current namespace."""
    try:
        with open("/proc/thread-self/net/sctp/eps", encoding="ascii") as stream:
            rows = [line.split() for line in stream]
    except OSError:  # a kernel without SCTP, or with its module not loaded
        return False
    # The columns: ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS
    return any(row[3] == _SCTP_LISTENING and row[5] == str(port) for row in rows)


def _raw_sctp() -> bool:
    """Whether a raw SCTP socket is open in the current namespace (the kernel has no diagnosis of raw sockets here)."""
    for table in ("raw", "raw6"):
        try:
            with open(f"/proc/thread-self/net/{table}", encoding="ascii") as stream:
                if any(line.split()[1].endswith(":0084") for line in stream.readlines()[1:]):  # 132, IPPROTO_SCTP
                    return True
        except OSError:
            continue
    return False
