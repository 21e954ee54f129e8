"""Reading: the dumps of a lab's namespaces, put together into a State."""

from __future__ import annotations

import contextlib
import errno
import struct
from collections.abc import Collection

from netlab.kernel.handles import Handles
from netlab.kernel.host import files, wireguard
from netlab.kernel.host import netns as ns
from netlab.kernel.host.ethtool import Offloads
from netlab.kernel.host.hardening import Hardening
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.host.sockdiag import Listening
from netlab.kernel.nftables import conntrack
from netlab.kernel.nftables import drift as nft
from netlab.kernel.protocol import Observed
from netlab.kernel.rtnetlink import linksysctls, xfrm
from netlab.kernel.rtnetlink.codec import Links, NamespaceDump, RawLink
from netlab.kernel.rtnetlink.codecs import LINK_KINDS, PORTS
from netlab.kernel.rtnetlink.dump import dump
from netlab.kernel.rtnetlink.socket import attr_dict
from netlab.names import Owner
from netlab.objects import File, Floor, Link, Listener, Netns, Obj, State, Sysctl, WgPeer
from netlab.objects.links import FALLBACKS, End

# A veth is keyed by the end whose namespace comes first here: the node's.
_KEY_ORDER = {"node": 0, "external": 1, "pod": 2, "router": 3, "underlay": 4}
_PAIRED = {kind for kind, codec in LINK_KINDS.items() if codec.PAIRED}
_GETNSID = 90
_SCTP_LISTENING = "10"  # linux/net/sctp/constants.h: SCTP_SS_LISTENING


class Reader:
    """Reads one lab; everything here runs in the worker's thread."""

    def __init__(self, handles: Handles, sysctls: Sysctls, offloads: Offloads, *, listeners: bool) -> None:
        self._handles, self._sysctls, self._offloads, self._listeners = handles, sysctls, offloads, listeners
        self._dumps: dict[str, NamespaceDump] = {}
        self._owners: dict[str, Owner] = {}
        self._peers: dict[tuple[int, int], list[tuple[str, RawLink]]] = {}
        self._hardening = Hardening(sysctls)
        self._xfrm = xfrm.present()

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
            here = dump(handle)
            owner = Owner.of(here.alias)
            if owner is None or owner.lab != lab:
                strangers[netns] = owner
                self._handles.forget(netns)
                continue
            handle.links = Links((name, index) for index, name in here.names.items())
            self._dumps[netns] = here
            self._owners[netns] = owner
            objects.append(Netns(netns, owner, here.links[1].up, tuple(here.lacks)))
            with ns.inside(handle.fd):
                names = [link.name for link in here.links.values() if link.kind == "wireguard"]
                here.wireguard = {name: wireguard.read(name) for name in names}
                objects += self._visit(netns, wanted.get(netns, ()))
        for there in wanted.values():
            objects += [seen for obj in there if isinstance(obj, File) and (seen := _file(obj))]
        for here in self._dumps.values():
            objects += self._devices(here)
            objects += here.objects
        objects += wireguard.peers(self._dumps, self._keys_elsewhere(like))
        objects += linksysctls.sysctls(self._dumps, wanted, like.values())
        # Not State(objects): the kernel may hold two of what a State tells apart by one key (a neighbour on another
        # VLAN, say), and that must not end as a conflict.
        learned = tuple(obj for here in self._dumps.values() for obj in here.learned)
        return Observed(State.of({obj.key: obj for obj in objects}), strangers, learned)

    def _keys_elsewhere(self, like: State) -> dict[tuple[str, bytes], str]:
        """The public keys of wanted peers whose namespaces are not read, by device and key."""
        keys = {}
        for netns, dev in {(peer.remote, peer.dev) for peer in like.only(WgPeer) if peer.netns in self._dumps}:
            if netns not in self._dumps:
                with contextlib.suppress(OSError), ns.inside(self._handles.get(netns).fd):
                    keys[dev, wireguard.read(dev).public] = netns
        return keys

    def _visit(self, netns: str, wanted: list[Obj] | tuple[Obj, ...]) -> list[Obj]:
        """What can only be read from inside: sysctls, listeners, tables (last: that may leave for a scratch place)."""
        objects: list[Obj] = []
        self._sysctls.enter()
        listening: Listening | None = None
        paths: set[str] = set()
        for obj in wanted:
            if isinstance(obj, Sysctl):
                paths.add(obj.path)
                value = self._sysctls.read(obj.path)
                if value is not None:  # an object that is as it should be need not be made: it has its key already
                    objects.append(obj if value == obj.value else Sysctl(netns, obj.path, value, obj.link))
            elif isinstance(obj, Listener) and self._listeners:
                if obj.protocol == "SCTP":
                    if _kernel_sctp(obj.port) or _raw_sctp():
                        objects.append(obj)
                    continue
                listening = listening or Listening()
                addresses = (obj.bound,) if obj.bound else obj.addresses or ("0.0.0.0",)
                if listening.holds(obj.protocol, obj.port, addresses):
                    objects.append(obj)
        if listening:
            listening.close()
        v6 = any(path.startswith("net.ipv6.") for path in paths)  # else it is no part of the lab
        router = self._owners[netns].kind not in ("pod", "external")
        objects += self._hardening.deviations(netns, paths, router=router, v6=v6)
        if self._xfrm and self._owners[netns].kind != "pod":
            objects += xfrm.policies(netns)
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
            owner = self._handles.owner(netns)
            if owner is None or owner.lab != lab:
                self._handles.forget(netns)
                continue
            with ns.inside(self._handles.get(netns).fd):
                objects += self._tables(netns, wanted.get(netns, ()))
        return Observed(State.of({obj.key: obj for obj in objects}))

    def _tables(self, netns: str, wanted: list[Obj] | tuple[Obj, ...]) -> list[Obj]:
        """The tables; the thread may be in a scratch place afterwards.

        A translation that no rule of the lab made needs somebody else's rule, now or then.  So tracked flows are read only
        where the rules were changed: a dump walks the table of the whole host, which takes 50 ms and more.
        """
        objects: list[Obj] = []
        with contextlib.suppress(OSError):  # a kernel without nf_tables has no tables
            count, there = nft.look()
            generation, digest = self._handles.generations.get(netns, (-1, ""))
            same = not digest or digest == self._handles.digests.by_netns(wanted).get(netns)
            if not same:
                self._handles.outdated.add(netns)
            touched = bool(there) and not (same and generation == count)
            if count != max(generation, nft.UNTOUCHED) and netns in self._dumps and self._owners[netns].kind == "node":
                self._dumps[netns].learned += conntrack.translated(netns)
            objects += nft.observed(netns, wanted, there, touched=touched)
        return objects

    # -- links --------------------------------------------------------------------------------------------------------

    def _devices(self, here: NamespaceDump) -> list[Obj]:
        objects: list[Obj] = []
        for index, link in here.links.items():
            if index == 1 or (link.name in FALLBACKS and not link.up):
                continue
            try:
                device = self._device(here, link)
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                continue  # it went after the links were listed: a namespace's end takes its links when it likes
            objects += [obj for obj in (device, PORTS.decode(link, here)) if obj]
        return objects

    def _device(self, here: NamespaceDump, link: RawLink) -> Obj | None:
        """The object of a link; None for the end of a pair that the other end stands for."""
        netns = here.netns
        codec = LINK_KINDS.get(link.kind)
        peer = self._peer(netns, link) if codec and codec.PAIRED else None
        if codec is None or (codec.PAIRED and peer is None):
            return Link(netns, link.name, link.kind)
        if peer and self._rank(*peer) <= self._rank(netns, link):
            return None
        return codec.decode(link, [self._end(*end) for end in ((netns, link), peer) if end], here)

    def _end(self, netns: str, link: RawLink) -> End:
        offload = self._offloads.get(self._handles.get(netns).socket.fileno(), link.name)
        common = (netns, link.name, link.mac, link.mtu, link.number, link.altname, link.addrgen, offload, link.up)
        return End(*common, deviations=link.deviations)

    def _rank(self, netns: str, link: RawLink) -> tuple[int, str, str]:
        return _KEY_ORDER.get(self._owners[netns].kind, 9), netns, link.name

    def _peer(self, netns: str, link: RawLink) -> tuple[str, RawLink] | None:
        """The other end, if it is in this lab.

        The kernel tells the peer's index and a namespace id that only means something in this namespace.  netlab's own
        indexes are unique in the lab, so the two dumps pair by index; where they leave a doubt the id is looked up.
        """
        if not self._peers:
            for where, there in self._dumps.items():
                for end in there.links.values():
                    if end.kind in _PAIRED:
                        self._peers.setdefault((end.number, end.link), []).append((where, end))
        candidates = [
            (where, end)
            for where, end in self._peers.get((link.link, link.number), ())
            if (where != netns) == (link.nsid is not None) and (where, end.name) != (netns, link.name)
        ]
        if len(candidates) == 1 or not candidates or link.nsid is None:
            return candidates[0] if candidates else None
        for where, end in candidates:
            if self._nsid(netns, where) == link.nsid:
                return where, end
        return None

    def _nsid(self, netns: str, other: str) -> int:
        """The id by which one namespace knows another; -1 where it does not."""
        fd = self._handles.get(other).fd
        body = struct.pack("=BxxxHHI", 0, 8, 3, fd)  # rtgenmsg, then NETNSA_FD
        reply = self._handles.get(netns).socket.ask(_GETNSID, body)
        if reply is None:
            return -1
        raw = attr_dict(reply[1], 4).get(1)  # NETNSA_NSID
        return int(struct.unpack("=i", raw)[0]) if raw is not None else -1


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
