"""The effects of Pods that become ready, become unready, or end: on Services, DNS names and policies.

The statuses in force are part of a lab's run state, beside its documents: every command resolves the lab with them, so
what ``diff`` expects is what the kernel was given.  They change in two places.  ``up`` and ``apply`` take over what the
agent says once that what they started runs (``follow``).  And the agent starts ``python -m netlab.runtime.readiness LAB``
when a status changes: under the lab's lock it asks for the statuses, and changes in the kernel what differs between
the lab with the old ones and the lab with the new ones.

A step that was killed leaves ``statuses.next``: the next one, or the next command, then looks at everything.  A lab of
which an ``up`` was killed is left alone: the next ``up`` mends it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.errors import NetlabError, StateError
from netlab.runtime.client import agentclient
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import RunDir

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.model.status import Statuses
    from netlab.objects import State
    from netlab.runtime.client.listeners import AgentListeners
    from netlab.runtime.state.resolved import Lab
    from netlab.spec import Warning


_SERVER = "kube-system/coredns"


def follow(rundir: RunDir, lab: Lab, seen: Statuses) -> tuple[Lab, int]:
    """Make the kernel follow these statuses; the lab with them, and how many operations that took.  Needs the lock."""
    from netlab.model.status import observed
    from netlab.runtime.client.listeners import AgentListeners
    from netlab.runtime.converge import reach
    from netlab.runtime.state.resolved import wanted

    unsettled = rundir.begin_statuses(seen)
    cluster = observed(lab.built, seen)
    changed = 0
    if unsettled or cluster != lab.cluster:
        after = replace(lab, cluster=cluster)
        after = replace(after, want=wanted(after))
        agent = AgentListeners(cluster.lab, rundir.path)
        changed = reach(rundir, agent, after.want, lab.want, narrow=not unsettled).changed
        lab = after
    lab = replace(lab, statuses=seen)
    rundir.commit_statuses()
    return lab, changed


def leave_all(rundir: RunDir, labs: Iterable[Lab], after: Cluster) -> State:
    """Have the Pods that are to go terminate (``leave``); the objects of these labs, then."""
    from netlab.objects import Key, Obj, State

    owned: dict[Key, Obj] = {}
    for lab in labs:
        owned |= leave(rundir, lab, after).want.items()
    return State.of(owned)


def leave(rundir: RunDir, lab: Lab, after: Cluster) -> Lab:
    """Pods that are to go terminate: they leave names and Services first, those excepted that have no other backend.

    Their processes have their grace period after that.
    """
    from netlab.model.status import runs
    from netlab.plan.processes import grace

    stay = {str(pod) for pod in after.pods}
    gone = [pod for pod in lab.cluster.pods if str(pod) not in stay and runs(pod)]
    if not gone:
        return lab
    leaving = {str(pod): (int(pod.ready), int(pod.ended), int(time.time()) + grace(pod)) for pod in gone}
    lab, _ = follow(rundir, lab, {**lab.statuses, **leaving})
    behind = {backend.pod for service in lab.cluster.services for backend in service.backends}
    if not behind & leaving.keys():
        return lab
    _publish(rundir, lab.cluster, patience=1.0)
    return lab


def take_over(rundir: RunDir, lab: Lab) -> tuple[Lab, int, list[str]]:
    """Ask the lab's agent, and follow what it says; sentences on what could not be done."""
    if agentclient.recorded(rundir.path) is None:
        return lab, 0, []
    try:
        with agentclient.connect(rundir.path, lab.cluster.lab) as agent:
            seen = agent.statuses()
            lab, changed = follow(rundir, lab, seen.pods)
            agent.acknowledge(seen.version)
    except StateError as gone:  # an agent that dies now is found by the next command
        return lab, 0, [gone.message]
    return lab, changed, []


def settle(rundir: RunDir, lab: Lab, agent: AgentListeners, *, wait: bool) -> tuple[Lab, int, list[Warning]]:
    """After a change: wait for what was started (``wait``), follow the statuses, and load the names.

    Returns the lab, how many operations that took, and what could not be done.
    """
    from netlab.errors import Mark
    from netlab.runtime.client.settle import settle as wait_for
    from netlab.spec import Warning

    changed, late, problems = 0, list[Warning](), list(agent.problems)
    try:
        if wait:
            late = wait_for(lab.cluster.lab, rundir.path, lab.cluster, agent.ran)
            lab, changed, refused = take_over(rundir, lab)
            problems += refused
    finally:  # also where the wait was interrupted
        if agent.ran and agent.alive():
            # `run` had suspended the agent's notices of statuses.
            with contextlib.suppress(StateError), agentclient.connect(rundir.path, rundir.lab) as client:
                client.acknowledge(0)
    problems += _publish(rundir, lab.cluster)
    return lab, changed, [*(Warning("agent", problem, Mark("", 0)) for problem in problems), *late]


def _publish(rundir: RunDir, cluster: Cluster, **patience: float) -> list[str]:
    """Make names and health checks follow the cluster."""
    from netlab.runtime import dns, healthchecks

    return [*dns.sync(cluster, **patience), *healthchecks.sync(rundir, cluster)]


def step(name: str) -> None:
    """Do one step that the agent requests."""
    with lock.locked(name):
        rundir = RunDir(name)
        if not rundir.exists() or rundir.pending() is not None:
            raise StateError(f"lab {name} has an unfinished change", hint=f"netlab up {name}")
        with agentclient.connect(rundir.path, name) as agent:
            seen = agent.statuses()
            if seen.acknowledged == seen.version:
                return  # somebody else was quicker
            # What crashes and starts again in a moment is as it was; but the DNS server has lost its names meanwhile.
            if seen.pods == rundir.statuses() and not rundir.unsettled() and _SERVER not in seen.moved:
                agent.acknowledge(seen.version)
                return
        from netlab.runtime.state.running import load_running

        lab, changed, problems = take_over(rundir, load_running(name))
        # A server whose Pod was made anew has no names either.
        problems += _publish(rundir, lab.cluster)
        rundir.event("readiness", changed=changed)
        for problem in problems:
            sys.stderr.write(f"readiness: {problem}\n")


def main(arguments: Sequence[str]) -> int:
    """Statuses as a command's: 0, or the error's own."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m netlab.runtime.readiness LAB; a lab's agent starts it\n")
        return 2
    try:
        step(arguments[0])
    except NetlabError as error:
        sys.stderr.write(f"readiness: {error.message}\n")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
