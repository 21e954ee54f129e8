"""Writing: operations as netlink requests, grouped so that one ``send`` does the work of many."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from netlab.errors import KernelRefused, StateError
from netlab.kernel.handles import Handles
from netlab.kernel.host import files, wireguard
from netlab.kernel.host import netns as ns
from netlab.kernel.host.ethtool import Offloads
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.nftables import commit as rules
from netlab.kernel.nftables import conntrack
from netlab.kernel.protocol import AgentPort
from netlab.kernel.rtnetlink import link, xfrm
from netlab.kernel.rtnetlink.address import loopback, restore_local
from netlab.kernel.rtnetlink.codec import Handle, Links, NoSuchLink, Request
from netlab.kernel.rtnetlink.codecs import NEIGHBOURS, PORTS, codec_of, link_codec_of
from netlab.kernel.rtnetlink.route import flush_learned
from netlab.kernel.rtnetlink.rule import restore
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr_u32
from netlab.kernel.rtnetlink.veth import IFLA_NET_NS_FD
from netlab.objects import (
    Addr,
    Bridge,
    Conntrack,
    File,
    Floor,
    Key,
    Listener,
    Neigh,
    Netns,
    Obj,
    Op,
    PathMtu,
    Port,
    Process,
    Stitch,
    Sysctl,
    Verb,
    WgPeer,
    WireGuard,
    XfrmPolicy,
)
from netlab.objects.host import LOOPBACK
from netlab.objects.links import End, ends, settings

_CARRIER_PATIENCE = 5.0  # seconds for all links
_PAUSE = 0.001
_GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO)
# Objects of other subsystems, which have a socket of their own: each is removed from inside its namespace.
_REMOVERS: dict[type[Obj], Callable[[Any], None]] = {XfrmPolicy: xfrm.remove_policy, Conntrack: conntrack.forget_entry}


class Writer:
    """Does one ``apply``; everything here runs in the worker's thread.

    Requests pile up by namespace and go out when something needs them done: before a link's other end is touched,
    before an ioctl or a write to procfs, at the end.
    """

    def __init__(self, handles: Handles, sysctls: Sysctls, offloads: Offloads, agent: AgentPort | None) -> None:
        self._handles, self._sysctls, self._offloads, self._agent = handles, sysctls, offloads, agent
        self._pending: dict[str, list[tuple[Request, Op]]] = {}
        self._masters: dict[tuple[str, str], Port] = {}
        self._enslaved: set[Key] = set()  # ports that were made by the request that made their link
        self._listeners: list[Listener] = []
        self._processes: list[Process] = []
        self._devices = wireguard.Devices(lambda netns: handles.get(netns).fd)
        self._reset: list[Op] = []  # sysctls that go back to what they are by themselves

    def apply(self, ops: Sequence[Op]) -> None:
        """Do the operations in order."""
        self._check_names(ops)
        self._rehearse(ops)
        removals = [op for op in ops if op.verb is Verb.DELETE]
        others = [op for op in ops if op.verb is not Verb.DELETE]
        self._remove(removals)
        others = [*self._reset, *others]  # no address comes to a link whose IPv6 is off
        self._namespaces(others)
        # Before links: a new Pod is isolated when its first packet can leave.  Rules name no link's index.
        self._rules(ops)
        self._links(others)
        for op in others:
            if Floor.LINK < op.obj.key.floor < Floor.NFT or op.obj.floor is Floor.QDISC:
                self._change(op)
        self._flush()
        self._await_links(others)
        for op in others:
            if isinstance(op.obj, WireGuard) and isinstance(op.have, WireGuard) and not op.have.end().up:
                self._wireguard(op, self._devices.greet)
        if any(isinstance(op.obj, File) for op in others):
            files.prepare()
        for op in others:
            if isinstance(op.obj, File):
                files.write(op.obj.path, op.obj.content, replace=op.verb is Verb.UPDATE)
            elif isinstance(op.obj, Listener):
                self._listeners.append(op.obj)
            elif isinstance(op.obj, Process):
                self._processes.append(op.obj)
        if self._listeners and self._agent:
            self._agent.listen(self._listeners)
        if self._processes and self._agent:
            self._agent.run(self._processes)

    # -- namespaces and what is written from inside them ----------------------------------------------------------------

    def _check_names(self, ops: Iterable[Op]) -> None:
        """Refuse names of other owners before anything is built."""
        removed = {op.obj.netns for op in ops if op.verb is Verb.DELETE and isinstance(op.obj, Netns)}
        there = set(ns.names())
        for op in ops:
            if op.verb is Verb.CREATE and isinstance(op.obj, Netns) and op.obj.netns in there - removed:
                owner = self._handles.owner(op.obj.netns)
                self._handles.forget(op.obj.netns)
                whose = f"lab {owner.lab}'s {owner.kind} {owner.name}" if owner else "not netlab's"
                raise StateError(
                    f"the name {op.obj.netns} in /run/netns is taken: it is {whose}",
                    hint="run this lab under another name: --name NAME",
                )

    def _namespaces(self, ops: Sequence[Op]) -> None:
        """Make namespaces and set the sysctls that come before links, in one visit to each."""
        sysctls: dict[str, list[Op]] = {}
        for op in ops:
            if isinstance(op.obj, Sysctl) and not op.obj.link:
                sysctls.setdefault(op.obj.netns, []).append(op)
        for op in ops:
            if not isinstance(op.obj, Netns):
                continue
            if op.verb is Verb.CREATE:
                try:
                    self._handles.create(op.obj.netns, op.obj.owner.alias())
                except OSError as error:
                    self._refuse(op, os.strerror(error.errno or 0))
                self._write_sysctls(sysctls.pop(op.obj.netns, ()))
            else:
                lacks = op.have.lacks if isinstance(op.have, Netns) else ()
                own = [request for lack in lacks for request in _given(lack)]
                self._queue(op, op.obj.netns, [link.set_link(1, up=True), *own])
        for netns, todo in sysctls.items():
            with ns.inside(self._handles.get(netns).fd):
                self._write_sysctls(todo)

    def _rehearse(self, ops: Iterable[Op]) -> None:
        """Refuse before anything is changed where a namespace that is there would not take its rules."""
        todo = list(ops)
        try:
            rules.rehearse(self._handles, rules.by_namespace(self._nft(todo), self._fresh(todo)))
        except rules.Refused as refused:
            self._refuse(refused.op, refused.message)

    def _rules(self, ops: Sequence[Op]) -> None:
        """One transaction a namespace, of everything in nftables that comes, changes and goes there (several: a great many chains)."""
        todo = self._nft(ops)
        removed = {op.obj.netns for op in todo if op.verb is Verb.DELETE} - set(ns.names())
        moved = {op.obj.address.split("/")[0] for op in ops if isinstance(op.obj, Addr) and op.verb is not Verb.UPDATE}
        try:
            rules.commit(self._handles, rules.by_namespace(todo, removed), moved, self._fresh(ops))
        except rules.Refused as refused:
            self._refuse(refused.op, refused.message)

    @staticmethod
    def _fresh(ops: Iterable[Op]) -> set[str]:
        return {op.obj.netns for op in ops if isinstance(op.obj, Netns) and op.verb is Verb.CREATE}

    @staticmethod
    def _nft(ops: Iterable[Op]) -> list[Op]:
        return [op for op in ops if op.obj.floor is Floor.NFT]

    def _write_sysctls(self, ops: Iterable[Op]) -> None:
        first = True
        for op in ops:
            assert isinstance(op.obj, Sysctl)
            if first:
                self._sysctls.enter()
                first = False
            try:
                self._sysctls.write(op.obj.path, op.obj.value)
            except OSError as error:
                self._refuse(op, os.strerror(error.errno or 0))

    # -- links --------------------------------------------------------------------------------------------------------

    def _links(self, ops: Sequence[Op]) -> None:
        """Make and mend links: first every ``add``, then what both ends are set to."""
        for op in ops:
            if isinstance(op.obj, Port) and op.verb is Verb.CREATE:
                self._masters[op.obj.netns, op.obj.dev] = op.obj
        touched = [(op, settings(op.obj), settings(op.have)) for op in ops if op.obj.key.floor is Floor.LINK]
        for op, wanted, _ in touched:
            if op.verb is Verb.CREATE:
                self._add_link(op, *wanted)
        self._flush()
        for op, wanted, present in touched:
            before = {(end.netns, end.name): end for end in present}
            for end in wanted:
                self._settle(op, end, before[end.netns, end.name] if op.verb is Verb.UPDATE else None)
        self._flush()

    def _add_link(self, op: Op, end: End, *others: End) -> None:
        obj = op.obj
        peers = [self._handles.get(other.netns) for other in others]
        port = self._masters.get((obj.netns, obj.name))
        master = self._handles.get(obj.netns).links.get(port.master, 0) if port else 0
        if port and master:
            self._enslaved.add(port.key)
        codec = link_codec_of[type(obj)]
        if isinstance(obj, Stitch):
            self._stitch(op, codec.requests(obj, end, self._handles.get(obj.netns), peers, 0))
            return
        self._ask(op, lambda _, handle: codec.requests(obj, end, handle, peers, master))

    def _stitch(self, op: Op, requests: Iterable[Request]) -> None:
        """Ask in the machine's own namespace for a link in the lab's."""
        self._flush()
        into = attr_u32(IFLA_NET_NS_FD, self._handles.get(op.obj.netns).fd)
        machine = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with ns.inside(machine):
                sock = NetlinkSocket()
            refused = sock.batch([(kind, flags, body + into) for kind, flags, body in requests])
            sock.close()
        finally:
            os.close(machine)
        if refused:
            self._refuse(op, refused[0].message)

    def _settle(self, op: Op, end: End, have: End | None) -> None:
        """Bring a link into its state; ``have`` None: a new link."""
        index = self._index(op, end.netns, end.name)
        if isinstance(op.obj, WireGuard):
            self._wireguard(op, self._devices.configure)
        if end.offload != (have.offload if have else True):
            self._ioctl(op, end)
        self._queue(op, end.netns, link.change(index, end, have) if have else link.finish(index, end))

    def _await_links(self, ops: Iterable[Op]) -> None:
        """Return when the links that are up now carry packets: a worker of the kernel's sees to that, which may be late
        on a busy host.  Bridges come last, since theirs follows that of their ports.
        """
        made = sorted((op.obj for op in ops if op.obj.key.floor is Floor.LINK), key=lambda obj: isinstance(obj, Bridge))
        until = time.monotonic() + _CARRIER_PATIENCE
        for end in (end for obj in made for end in settings(obj) if end.up):
            handle = self._handles.get(end.netns)
            while not link.settled(handle.socket, handle.links[end.name]) and time.monotonic() < until:
                time.sleep(_PAUSE)

    def _wireguard(self, op: Op, work: Callable[[Op], None]) -> None:
        try:
            work(op)
        except OSError as error:
            self._refuse(op, os.strerror(error.errno or 0), "wg set")

    def _ioctl(self, op: Op, end: End) -> None:
        try:
            self._offloads.set(self._handles.get(end.netns).socket.fileno(), end.name, end.offload)
        except OSError as error:
            self._refuse(op, os.strerror(error.errno or 0), "ethtool")

    # -- everything that hangs on links -------------------------------------------------------------------------------

    def _change(self, op: Op) -> None:
        obj = op.obj
        if codec := codec_of.get(type(obj)):
            self._ask(op, PORTS.settings if obj.key in self._enslaved else codec.request)
            return
        if isinstance(obj, WgPeer):
            self._flush()
            self._wireguard(op, self._devices.peer)
            return
        with ns.inside(self._handles.get(obj.netns).fd):
            if remover := _REMOVERS.get(type(obj)):
                remover(obj)
            elif isinstance(obj, PathMtu):
                flush_learned(self._sysctls)
            else:
                self._flush()
                self._write_sysctls([op])

    # -- removal ------------------------------------------------------------------------------------------------------

    def _remove(self, ops: Sequence[Op]) -> None:
        gone = [op.obj.netns for op in ops if isinstance(op.obj, Netns)]
        ended = [op.obj for op in ops if isinstance(op.obj, Process)]
        if self._agent and ended:
            self._agent.stop(ended)  # before the network goes: what has a grace period may need it to say goodbye
        closed = [op.obj for op in ops if isinstance(op.obj, Listener) and op.obj.netns not in gone]
        if self._agent and closed:
            self._agent.unlisten(closed)
        folders = {op.obj.netns for op in ops if isinstance(op.obj, File)}.difference(gone)
        if self._agent and (gone or folders):
            self._agent.forget(gone, folders)
        going = {end for op in ops if op.obj.floor is Floor.LINK for end in ends(op.obj)} | {
            (netns, "") for netns in gone
        }
        for op in ops:
            obj = op.obj
            if isinstance(obj, File):
                files.remove(obj.path)
            elif obj.floor is Floor.LINK:
                self._queue(op, obj.netns, [link.delete(obj.name, self._index(op, obj.netns, obj.name))])
                for netns, name in ends(obj):
                    self._handles.get(netns).links.pop(name, None)
            elif obj.floor is Floor.NFT:
                pass  # goes in the namespace's one transaction, with what takes its place
            elif isinstance(obj, Sysctl):
                if usual := obj.usual or self._default(obj, going):
                    self._reset.append(Op(Verb.UPDATE, replace(obj, value=usual)))
            elif not isinstance(obj, (Netns, Listener, Process)):
                self._change(op)
        self._flush()
        for netns in gone:
            self._handles.forget(netns)
            ns.remove_name(netns)
        if any(isinstance(op.obj, File) for op in ops):
            files.tidy()

    def _default(self, sysctl: Sysctl, going: Collection[tuple[str, str]]) -> str:
        """The value that a new link has, for a sysctl of a link that stays when the lab wants it no more; else ""."""
        if not sysctl.link or {(sysctl.netns, ""), (sysctl.netns, sysctl.link)} & set(going):
            return ""
        with ns.inside(self._handles.get(sysctl.netns).fd):
            self._sysctls.enter()
            return self._sysctls.read(sysctl.path.replace(f".{sysctl.link}.", ".default.", 1)) or ""

    # -- sending ------------------------------------------------------------------------------------------------------

    def neighbours(self, entries: Iterable[tuple[str, str, str, str]], *, remove: bool) -> None:
        """Permanent neighbours, each (netns, link, address, MAC), in or out; entries that are gone are no error."""
        for netns, dev, address, mac in entries:
            op = Op(Verb.DELETE if remove else Verb.CREATE, Neigh(netns, dev, address, mac))
            self._ask(op, NEIGHBOURS.request)
        self._flush()

    def _ask(self, op: Op, request: Callable[[Op, Handle], Sequence[Request]]) -> None:
        """Queue the requests of an operation; a link that is not yet read is looked up."""
        netns = op.obj.netns
        while True:
            try:
                return self._queue(op, netns, request(op, self._handles.get(netns)))
            except NoSuchLink as missing:
                self._index(op, netns, missing.name)

    def _queue(self, op: Op, netns: str, requests: Iterable[Request]) -> None:
        self._pending.setdefault(netns, []).extend([(request, op) for request in requests])

    def _flush(self) -> None:
        pending, self._pending = self._pending, {}
        for netns, todo in pending.items():
            refused = self._handles.get(netns).socket.batch([request for request, _ in todo])
            for refusal in refused:
                request, op = todo[refusal.number]
                if op.verb is Verb.DELETE and refusal.errno in _GONE:
                    continue  # gone with something else, which is what was wanted
                self._refuse(op, refusal.message, link.quoted(request))

    def _index(self, op: Op, netns: str, dev: str) -> int:
        handle = self._handles.get(netns)
        index = handle.links.get(dev)
        if index is None:
            self._flush()  # it may be in what is still to be sent
            handle.links = Links((raw.name, number) for number, raw in link.links(handle.socket).items())
            index = handle.links.get(dev)
        if index is None:
            self._refuse(op, f"No such device: {dev}")
        return index

    @staticmethod
    def _refuse(op: Op, message: str, words: str = "") -> NoReturn:
        """Raise for the one line of the operation that has the ``words``; for all of it where none has."""
        lines = op.explain().splitlines()
        fitting = [line for line in lines if words and words in line]
        raise KernelRefused(fitting[0] if fitting else "\n".join(lines), message, op.obj.why.message, op.obj.why.mark)


def _given(lack: str) -> list[Request]:
    """The request that restores a default object of a namespace (``Netns.lacks``)."""
    if lack.startswith("local "):
        return restore_local(lack.removeprefix("local "))
    return [loopback(lack) if lack in LOOPBACK else restore(lack)]
