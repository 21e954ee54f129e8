"""A running lab as its run state has it: documents, cluster, and the state that was applied last."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from netlab import plain
from netlab.errors import BadInput, NetlabError, StateError
from netlab.faults.apply import in_documents
from netlab.faults.injected import Injected
from netlab.model import Cluster, Memory
from netlab.model.ages import Age, Ages, Objects, aged
from netlab.model.status import Statuses
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.runtime.client import agentclient
from netlab.runtime.host import requirements as host
from netlab.runtime.state.resolved import Lab, assignments_of, documents_of, memory_now, memory_of, resolve, with_state
from netlab.runtime.state.rundir import Applied, RunDir, caller
from netlab.spec import Document
from netlab.tuples import NamedTuple

_AGES: Callable[..., dict[str, Age]] = dict[str, Age]


class Run(NamedTuple):
    """The run state of a lab that is about to be changed; its lock is held.

    ``applied`` and ``pending`` as RunDir has them, ``statuses`` those that the lab follows.
    """

    rundir: RunDir
    applied: Applied | None
    pending: Applied | None
    memory: Memory
    statuses: Statuses

    @property
    def documents(self) -> Applied | None:
        """The documents of the lab; None for a new lab."""
        return self.applied or self.pending

    def drafted(self, draft: Applied, *, reset: bool) -> Applied:
        """The documents to apply: the draft's, with the changes made to the running lab unless ``reset``."""
        running, lab = self.documents, self.rundir.lab
        if running is None:
            return replace(draft, since=time.time(), owner=caller())
        if running.source != draft.source:
            raise BadInput(
                f"lab {lab} is running from {running.source}, and this is {draft.source}",
                hint=f"netlab down {lab}, or give this one another name: --name NAME",
            )
        applied = replace(draft, since=running.since, owner=running.owner)
        return applied if reset else with_changes(applied, running)

    def begin(self, lab: Lab, applied: Applied, previous: Iterable[Applied | Lab]) -> list[Lab]:
        """Record what is going to be applied; the labs that the previous documents describe.

        Documents of an older netlab, or half-written ones, describe none: then only marked objects are the lab's own.
        """
        statuses = self.rundir.statuses()
        settled = lab.statuses == statuses and self.memory == memory_now(lab.cluster)
        labs = []
        for before in previous:
            if isinstance(before, Lab):
                labs.append(before)
            elif settled and replace(applied, since=before.since, owner=before.owner, source=before.source) == before:
                labs.append(lab)
            else:
                with contextlib.suppress(NetlabError):
                    labs.append(with_state(resolve(before, self.memory, statuses), lab.can))
        self.rundir.begin(applied, assignments_of(lab))
        return labs

    def aged(self, previous: Sequence[Lab], lab: Lab) -> Ages:
        """The ages of the objects when the lab has become what it is to be; a new lab is as old as its objects."""
        ages = ages_of(self.rundir)
        if not previous or previous[0] is lab:
            return ages if previous else {}
        before, after = (Objects(each.documents.objects, each.cluster) for each in (previous[0], lab))
        return aged(ages, before, after, time.time())

    def commit(self, lab: Lab, ages: Ages) -> None:
        """Record that the lab runs."""
        self.rundir.commit(assignments_of(lab), lab.statuses, plain.dump(ages))


def with_changes(draft: Applied, running: Applied) -> Applied:
    """A draft with what ``apply``, ``delete``, ``label``, ``link`` and ``break`` changed in the running lab."""
    changes = {name: getattr(running, name) for name in ("extra", "deleted", "labels", "links", "faults")}
    return replace(draft, **changes, plane=draft.plane or running.plane)


def open_run(name: str, hint: str = "") -> Run:
    """Read the run state of a lab, new or running.  Raises NotYours, with the hint, where it is another user's."""
    rundir = RunDir(name)
    applied, pending = rundir.applied(), rundir.pending()
    rundir.require_owner(hint)
    return Run(rundir, applied, pending, memory_of(rundir), in_force(rundir))


def in_force(rundir: RunDir) -> Statuses:
    """The statuses that the lab has applied; empty without an agent, because then all processes start again."""
    return rundir.statuses() if agentclient.serving(rundir.path) else {}


def name_of(draft: Applied) -> str:
    """The name of the lab that ``up`` would build.  Raises BadInput for a new lab that cannot be resolved."""
    parsed = documents_of(draft)
    name = draft.name or (parsed.lab.name if parsed.lab else "")
    if parsed.problems or not is_dns_label(name, LAB_NAME_MAX) or RunDir(name).applied() is None:
        return resolve(draft).cluster.lab  # a new lab's faults are reported before anything needs privilege
    return name


def open_running(name: str) -> tuple[RunDir, Applied]:
    """A running lab's documents.  Raises BadInput where no such lab runs, StateError where it is another user's."""
    rundir = RunDir(name)
    applied = rundir.applied() or rundir.pending()
    if applied is None and rundir.exists():
        raise StateError(
            f"the run state of lab {name} does not say what it is", hint=f"netlab down {name} removes what is left"
        )
    if applied is None:
        raise BadInput(f'no lab called "{name}" is running', hint="netlab ls shows those that are")
    return rundir, applied


def ages_of(rundir: RunDir) -> Ages:
    """The ages of a running lab's objects; none if the file cannot be read."""
    try:
        return plain.load(_AGES, rundir.ages())
    except ValueError:
        return {}


def load_cluster_since(name: str) -> tuple[Cluster, float, tuple[Document, ...], Ages]:
    """A running lab's cluster, when it was brought up (seconds of the epoch), the objects behind it, and their ages."""
    rundir, applied = open_running(name)
    lab = resolve(applied, memory_of(rundir), rundir.statuses())
    return lab.cluster, applied.since, lab.documents.objects, ages_of(rundir)


def load_cluster(name: str) -> Cluster:
    """A running lab's cluster."""
    return load_cluster_since(name)[0]


def load_running(name: str) -> Lab:
    """A running lab as it was last applied, faults included: what the kernel should have now."""
    return _loaded(name, lambda faults: faults)


def load_meant(name: str) -> Lab:
    """A running lab as its documents say, their faults included: what the kernel of healthy nodes has."""
    return _loaded(name, in_documents)


def load_plain(name: str) -> Lab:
    """A running lab without its faults."""
    return _loaded(name, lambda _: ())


def _loaded(name: str, choose: Callable[[tuple[Injected, ...]], tuple[Injected, ...]]) -> Lab:
    rundir, applied = open_running(name)
    applied = replace(applied, faults=choose(applied.faults)) if applied.faults else applied
    lab = resolve(applied, memory_of(rundir), rundir.statuses())
    return with_state(lab, host.of_running(lab.cluster))
