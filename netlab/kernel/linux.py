"""LinuxKernel: the Kernel that is the kernel."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netlab.errors import HostCannot, StateError
from netlab.kernel.host import netns as ns
from netlab.kernel.host.ethtool import Offloads
from netlab.kernel.host.limits import OpenFiles
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.nftables import drift as nft
from netlab.kernel.nftables import libnft
from netlab.kernel.protocol import AgentPort, Observed
from netlab.kernel.read import Reader
from netlab.kernel.rtnetlink import requests as rtnl
from netlab.kernel.rtnetlink.socket import NetlinkSocket
from netlab.kernel.write import Writer
from netlab.objects import Neigh, Netns, NftTable, Op, State


@dataclass(slots=True)
class Handle:
    """A namespace that is being worked in: its descriptor, a rtnetlink socket born in it, its links by name."""

    netns: str
    fd: int
    socket: NetlinkSocket
    links: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        self.socket.close()
        os.close(self.fd)


class Handles:
    """The open namespaces.  Everything here runs in the worker's thread."""

    def __init__(self) -> None:
        libnft.keep_descriptors()
        self._open: dict[str, Handle] = {}
        self._namer = ns.Namer()
        # After our own commit of nftables rules: how often the namespace's were changed, by anybody, and what was ours.
        self.generations: dict[str, tuple[int, str]] = {}
        # Namespaces whose rules were not made from what is wanted now, as far as the digest tells.
        self.outdated: set[str] = set()

    def get(self, netns: str) -> Handle:
        """The handle of a namespace that has a name; raises FileNotFoundError."""
        handle = self._open.get(netns)
        if handle is None:
            fd = ns.open_named(netns)
            with ns.inside(fd):
                handle = self._open[netns] = Handle(netns, fd, NetlinkSocket())
        return handle

    def create(self, netns: str, mark: str) -> Handle:
        """A new namespace: marked, lo up, then named.  The calling thread is inside it afterwards.

        In this order, so that after a ``kill -9`` every name that can be seen says whose it is.
        """
        self.forget(netns)
        ns.unshare_net()
        socket = NetlinkSocket()
        Writer.mark(socket, mark)
        try:
            fd = self._namer.name_current(netns)
        except FileExistsError:
            socket.close()
            raise StateError(
                f"/run/netns/{netns} is in the way: it is not this lab's",
                hint=f"look at it with: ip -n {netns} link; take another lab name with --name",
            ) from None
        handle = self._open[netns] = Handle(netns, fd, socket, {"lo": 1})
        return handle

    def forget_gone(self) -> None:
        """Let go of namespaces whose name is gone, or is another namespace's now."""
        for netns, handle in list(self._open.items()):
            if not ns.is_named(handle.fd, netns):
                self.forget(netns)

    def forget(self, netns: str) -> None:
        """Close a namespace's descriptors: they would keep it alive after its name is gone."""
        handle = self._open.pop(netns, None)
        if handle:
            handle.close()

    def close(self) -> None:
        for netns in list(self._open):
            self.forget(netns)
        self._namer.close()


class LinuxKernel:
    """One lab's view of the kernel.

    ``agent`` opens listeners; without one, listeners are neither made nor observed.  Use as a context manager, or
    call ``close``.
    """

    def __init__(self, agent: AgentPort | None = None) -> None:
        self._worker = ns.Worker()
        self._handles = Handles()
        self._sysctls = Sysctls()
        self._offloads = Offloads()
        self._agent = agent
        self._files = OpenFiles()

    @property
    def generations(self) -> dict[str, tuple[int, str]]:
        """By namespace, the nftables generation after our last commit and a digest of what was ours then.

        To be kept with the run state: as long as both hold, nobody touched the rules and none needs to be listed.
        """
        return self._handles.generations

    @generations.setter
    def generations(self, known: Mapping[str, Sequence[Any]]) -> None:
        self._handles.generations = {netns: (int(one[0]), str(one[1])) for netns, one in known.items()}

    def remember(self, state: State) -> None:
        """Say what our rules were made from, now that the kernel has them: where we committed, or compared, anew."""
        known = self._handles.generations
        anew = self._handles.outdated
        ruled = {table.netns for table in state.only(NftTable)}
        rules = nft.digests(obj for obj in state.values() if obj.netns in anew)
        self._handles.generations = {
            netns: (count, rules.get(netns, digest)) for netns, (count, digest) in known.items() if netns in ruled
        }
        self._handles.outdated.clear()

    def __enter__(self) -> LinuxKernel:
        self._files.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._files.__exit__()

    def close(self) -> None:
        """Close all descriptors and end the worker thread."""
        with contextlib.suppress(HostCannot):  # no thread was ever started, so nothing was opened
            self._worker.run(self._handles.close)
            self._worker.run(self._sysctls.close)
        self._worker.close()

    def observe(
        self, lab: str, like: State | None = None, scope: Collection[str] | None = None, *, rules: bool = False
    ) -> Observed:
        """See ``Kernel.observe``."""
        reader = Reader(self._handles, self._sysctls, self._offloads, listeners=self._agent is not None)
        if rules:
            return self._worker.run(lambda: reader.rules(lab, like or State(), scope or ()))
        seen = self._worker.run(lambda: reader.observe(lab, like or State(), scope))
        processes = self._agent.processes() if self._agent else ()
        return replace(seen, state=seen.state.replace(*processes)) if processes else seen

    def apply(self, ops: Iterable[Op]) -> None:
        """See ``Kernel.apply``."""
        todo = tuple(ops)
        if any(isinstance(op.obj, Netns) for op in todo):
            ns.share_run_netns()
        writer = Writer(self._handles, self._sysctls, self._offloads, self._agent)
        self._worker.run(lambda: writer.apply(todo))

    def forget(self, neighbours: Iterable[Neigh], paths: Iterable[str]) -> None:
        """See ``Kernel.forget``."""
        self.neighbours(((one.netns, one.dev, one.address, one.mac) for one in neighbours), remove=True)
        self._worker.run(lambda: self._forget_paths(paths))

    def _forget_paths(self, names: Iterable[str]) -> None:
        for netns in names:
            handle = self._handles.get(netns)
            with ns.inside(handle.fd):
                self._sysctls.enter()
                self._sysctls.write("net.ipv4.route.flush", "1")
            cached = [rtnl.forget(bytes(payload)) for _, payload in handle.socket.dump(rtnl.GETROUTE, rtnl.CACHED_V6)]
            handle.socket.batch(cached)  # what has gone meanwhile is refused, which is as well

    def neighbours(self, changes: Iterable[tuple[str, str, str, str]], *, remove: bool = False) -> None:
        """Add or remove permanent neighbours, each (netns, link, address, MAC); see ``observe.probe`` for why."""
        entries = tuple(changes)
        writer = Writer(self._handles, self._sysctls, self._offloads, None)
        self._worker.run(lambda: writer.neighbours(entries, remove=remove))
