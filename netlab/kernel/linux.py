"""LinuxKernel: the Kernel that is the kernel."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from netlab.errors import HostCannot
from netlab.kernel.handles import Handles
from netlab.kernel.host import files
from netlab.kernel.host import netns as ns
from netlab.kernel.host.ethtool import Offloads
from netlab.kernel.host.limits import OpenFiles
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.nftables.drift import Digests
from netlab.kernel.nodelook import Sight, look
from netlab.kernel.protocol import AgentPort, Observed
from netlab.kernel.read import Reader
from netlab.kernel.rtnetlink.route import flush_learned
from netlab.kernel.write import Writer
from netlab.objects import File, Netns, NftTable, Obj, Op, State


class LinuxKernel:
    """One lab's view of the kernel.

    ``agent`` opens listeners; without one, listeners are neither made nor observed.  ``digests`` are kept from one
    kernel to the next by a process that stays.  Use as a context manager, or call ``close``.
    """

    def __init__(self, agent: AgentPort | None = None, digests: Digests | None = None) -> None:
        self._worker = ns.Worker()
        self._handles = Handles(digests)
        self._sysctls = Sysctls()
        self._offloads = Offloads()
        self._agent = agent
        self._files = OpenFiles()

    @property
    def generations(self) -> dict[str, tuple[int, str]]:
        """By namespace, the nftables generation after our last commit and the digest of our objects then.

        The run state keeps them. As long as both are the same, the rules are unchanged and need no listing.
        """
        return self._handles.generations

    @generations.setter
    def generations(self, generations: Mapping[str, Sequence[Any]]) -> None:
        self._handles.generations = {netns: (int(pair[0]), str(pair[1])) for netns, pair in generations.items()}

    def remember(self, state: State) -> None:
        """Record the state that our rules were made from, where they were committed or compared since the last call."""
        generations = self._handles.generations
        anew = self._handles.outdated
        ruled = {table.netns for table in state.only(NftTable)}
        rules = self._handles.digests.by_netns(obj for obj in state.values() if obj.netns in anew)
        self._handles.generations = {
            netns: (count, rules.get(netns, digest)) for netns, (count, digest) in generations.items() if netns in ruled
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

    def look(self, wanted: Mapping[str, Sequence[Obj]]) -> dict[str, Sight | None]:
        """By namespace, what there is of a few objects (``nodelook``); None where the namespace is not there."""
        return self._worker.run(lambda: {netns: self._look(netns, objects) for netns, objects in wanted.items()})

    def _look(self, netns: str, wanted: Sequence[Obj]) -> Sight | None:
        try:
            handle = self._handles.get(netns)
        except OSError:
            return None
        with ns.inside(handle.fd):
            return look(handle, self._sysctls, wanted)

    def apply(self, ops: Iterable[Op]) -> None:
        """See ``Kernel.apply``."""
        todo = tuple(ops)
        if any(isinstance(op.obj, (Netns, File)) for op in todo):
            files.prepare()
        writer = Writer(self._handles, self._sysctls, self._offloads, self._agent)
        self._worker.run(lambda: writer.apply(todo))

    def forget(self, paths: Iterable[str]) -> None:
        """See ``Kernel.forget``."""
        self._worker.run(lambda: self._forget_paths(paths))

    def _forget_paths(self, names: Iterable[str]) -> None:
        for netns in names:
            with ns.inside(self._handles.get(netns).fd):
                flush_learned(self._sysctls)

    def neighbours(self, changes: Iterable[tuple[str, str, str, str]], *, remove: bool = False) -> None:
        """Add or remove permanent neighbours, each (netns, link, address, MAC); see ``observe.probe`` for why."""
        entries = tuple(changes)
        writer = Writer(self._handles, self._sysctls, self._offloads, None)
        self._worker.run(lambda: writer.neighbours(entries, remove=remove))
