"""A request of ``get`` or ``describe``: a running lab, and which of its objects the user wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from netlab.cli import out
from netlab.tuples import NamedTuple
from netlab.values import dataclass

if TYPE_CHECKING:
    from netlab.model import Cluster, Pod
    from netlab.model.ages import Age, Ages
    from netlab.model.cluster import Idle
    from netlab.model.topology.nodefaults import Faults
    from netlab.runtime.state.rundir import Version
    from netlab.spec import Document

Records = Mapping[
    tuple[str, str], Mapping[str, Any]
]  # by namespace and name: a Pod's containers as its agent sees them


class Running(NamedTuple):
    """A running lab: its model, when it was brought up, its documents, and their ages where they have another."""

    cluster: Cluster
    since: float
    objects: Sequence[Document]
    ages: Ages

    def age(self, kind: str, namespace: str, name: str) -> Age:
        """The age of an object; it was created with the lab where nothing else is known."""
        from netlab.model.ages import Age

        age = self.ages.get(f"{kind}/{namespace}/{name}") or Age()
        return age if age.created else age._replace(created=self.since)

    def born(self, kind: str, namespace: str, name: str) -> float:
        """When an object was created, in seconds of the epoch."""
        return self.age(kind, namespace, name).created


@dataclass
class Request:
    """``quiet``: without notes, as ``--watch`` needs it.  ``full``: with what a plain table leaves out."""

    lab: str
    names: Sequence[str] = ()
    namespace: str = ""
    every: bool = False
    selector: str = ""
    full: bool = False
    quiet: bool = False
    _running: dict[tuple[Version, Version | None], Running] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The Kubernetes namespace."""
        return self.namespace or "default"

    @property
    def running(self) -> Running:
        """The lab.  It is resolved again only where its documents or statuses changed: ``--watch`` reads it often."""
        from netlab.runtime.state.rundir import RunDir
        from netlab.runtime.state.running import load_cluster_since

        rundir = RunDir(self.lab)
        stamp = rundir.version() or (-1, time.monotonic_ns()), rundir.statuses_version()
        if stamp not in self._running:
            self._running = {stamp: Running(*load_cluster_since(self.lab))}
        return self._running[stamp]

    def faults(self) -> Faults:
        """What is wrong with the network of each node, as its kernel has it."""
        from netlab.runtime.state.nodehealth import Nodes

        return Nodes(self.lab).faults(self.running.cluster) or {}

    def fault_since(self, node: str) -> float:
        """When the first fault of a node was seen."""
        return time.time()

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` returns; a request that sees one moment may keep it by its name."""
        return make()

    def kept(self, name: str, made_of: Pod | Idle, more: tuple[object, ...], make: Callable[[], Any]) -> Any:
        """What ``make`` returns of a Pod and of more; a reader of many moments may keep it while they are the same."""
        return make()

    def records(self, *, events: bool = False, quiet: bool = False) -> Records | None:
        """The agent's records of the Pods; None, with a note, if the agent does not run."""
        from netlab.runtime.client.containers import states
        from netlab.runtime.state.rundir import RunDir

        records = states(self.lab, RunDir(self.lab).path, events=events)
        if records is None and not (quiet or self.quiet):
            hint = f"{out.command()} up {self.lab}"
            out.note(f"the agent of lab {self.lab} does not run, so no port of a Pod answers: {hint}")
        return records
