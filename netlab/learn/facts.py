"""The facts of a running lab: observed objects, verdicts of packets, lookups, sysctls, tables, captures."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial

from netlab.evidence.records import Lookup
from netlab.exercise.checks.capture import Capture as CaptureCheck
from netlab.exercise.exercise import Step
from netlab.exercise.places import netns_of
from netlab.kernel.host import netns as ns
from netlab.kernel.host import threads
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.nftables.libnft import listed
from netlab.kernel.protocol import Observed
from netlab.model import Cluster, Pod
from netlab.objects import Obj
from netlab.observe.capture.bpf import inside_too
from netlab.observe.capture.filters import named
from netlab.observe.capture.libpcap import compiled
from netlab.observe.capture.listen import Capture
from netlab.observe.capture.names import resolver
from netlab.observe.capture.point import Space
from netlab.observe.evidence import probed
from netlab.observe.lookup import lookup
from netlab.observe.probe import Prober
from netlab.oracle.flow import Flow, Verdict
from netlab.oracle.target import split
from netlab.planes import WITHOUT_ETHERNET
from netlab.runtime.lab import observe
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import load_running


class KernelFacts:
    """The facts of one lab.  ``refresh`` forgets what was observed; the captures of a step go on from ``listen`` to ``close``."""

    def __init__(self, lab: str, answers: Mapping[str, str]) -> None:
        self._rundir = RunDir(lab)
        self._name, self._answers = lab, answers
        self._counters: dict[tuple[str, str], _Counter] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the lab again: its documents where they changed, its objects when they are asked for."""
        self._lab = load_running(self._name)
        self.cluster: Cluster = self._lab.cluster
        self._seen: Observed | None = None

    def objects(self) -> Iterable[Obj]:
        seen = self.seen()
        return (*seen.state.values(), *seen.learned)

    def seen(self) -> Observed:
        """The lab as it was observed since the last ``refresh``."""
        if self._seen is None:
            self._seen = observe(self._lab, self._rundir)
        return self._seen

    def probed(self, flows: Iterable[Flow]) -> Mapping[Flow, Verdict]:
        # Without static neighbours: a neighbour that is wrong must be found.
        return {verdict.flow: verdict for verdict in probed(Prober(self.cluster), self.cluster, flows)}

    def lookup(self, pod: Pod, name: str) -> Lookup:
        return lookup(self.cluster, pod, name)

    def sysctl(self, netns: str, name: str) -> str | None:
        return ns.call(netns, partial(_sysctl, name))

    def table(self, netns: str, table: str) -> str:
        return ns.call(netns, partial(listed, f"list table {table}", 0))

    def answer(self, question: str) -> str | None:
        return self._answers.get(question)

    # -- captures -----------------------------------------------------------------------------------------------------

    def captured(self, at: str, expression: str) -> int:
        counter = self._counters.get((at, expression))
        return counter.count if counter else 0

    def listen(self, step: Step) -> None:
        """Capture for the checks of a step, from now on."""
        self.close()
        for wanted in step.wanted:
            if isinstance(wanted.check, CaptureCheck):
                key = wanted.check.at, wanted.check.filter
                self._counters[key] = _Counter(self.cluster, *key)

    def close(self) -> None:
        """End the captures."""
        for counter in self._counters.values():
            counter.close()
        self._counters = {}


def _sysctl(name: str) -> str | None:
    with closing(Sysctls()) as sysctls:
        sysctls.enter()
        return sysctls.read(name)


class _Counter:
    """A capture that counts packets in a thread of its own."""

    def __init__(self, cluster: Cluster, at: str, expression: str) -> None:
        place, interface = split(at)
        space = Space(netns_of(cluster, place), place, (interface,) if interface else ())
        bare = cluster.plane.encapsulation in WITHOUT_ETHERNET
        program = inside_too(compiled(named(expression, resolver(cluster, "default"))), bare=bare)
        self.count = 0
        self._capture = Capture([space], program, memory=1)
        self._capture.open()
        self._thread: threading.Thread = threads.start(self._count, "netlab-capture")

    def _count(self) -> None:
        for batch in self._capture.batches():
            self.count += len(batch)

    def close(self) -> None:
        self._capture.stop()
        self._thread.join()
        self._capture.close()
