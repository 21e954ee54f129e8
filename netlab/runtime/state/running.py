"""A running lab as its run state has it: documents, cluster, and the state that was applied last."""

from __future__ import annotations

from netlab.errors import BadInput, StateError
from netlab.model import Cluster
from netlab.plan import Host
from netlab.runtime.host import requirements as host
from netlab.runtime.state.resolved import Lab, memory_of, resolve, with_state
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.spec import Document


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


def load_cluster_since(name: str) -> tuple[Cluster, float, tuple[Document, ...]]:
    """A running lab's cluster, when it was brought up (seconds of the epoch), and the objects behind it."""
    rundir, applied = open_running(name)
    lab = resolve(applied, memory_of(rundir), rundir.statuses())
    return lab.cluster, applied.since, lab.documents.objects


def load_cluster(name: str) -> Cluster:
    """A running lab's cluster."""
    return load_cluster_since(name)[0]


def load_running(name: str) -> Lab:
    """A running lab as it was last applied."""
    rundir, applied = open_running(name)
    lab = resolve(applied, memory_of(rundir), rundir.statuses())
    return with_state(lab, Host(br_netfilter=host.has_br_netfilter()))
