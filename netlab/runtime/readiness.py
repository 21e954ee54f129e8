"""The effects of Pods that become ready, become unready, or end: on Services, DNS names and policies.

The statuses in force are part of a lab's run state, beside its documents: every command resolves the lab with them, so
what ``diff`` expects is what the kernel was given.  They change in two places.  ``up`` and ``apply`` take over what the
agent says once that what they started runs (``follow``).  And the agent starts a step when a status changes
(``runtime.step``): under the lab's lock it asks for the statuses, and changes in the kernel what differs between
the lab with the old ones and the lab with the new ones.

A step that was killed leaves ``statuses.next``: the next one, or the next command, then looks at everything.  A lab of
which an ``up`` was killed is left alone: the next ``up`` mends it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.errors import StateError
from netlab.runtime.client import agentclient
from netlab.runtime.state.rundir import RunDir

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.model.status import Statuses
    from netlab.objects import State
    from netlab.runtime.client.listeners import AgentListeners
    from netlab.runtime.state.resolved import Lab
    from netlab.spec import Warning


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
    gone = [pod for pod in lab.cluster.pods if str(pod) not in stay and runs(pod) and not pod.leaving]
    return leave_by(rundir, lab, {str(pod): int(time.time()) + grace(pod) for pod in gone})


def leave_by(rundir: RunDir, lab: Lab, until: Mapping[str, int]) -> Lab:
    """These Pods leave names and Services; their grace periods are over by those seconds of the epoch."""
    if not until:
        return lab
    gone = [pod for pod in lab.cluster.pods if str(pod) in until]
    leaving = {str(pod): (int(pod.ready), int(pod.ended), until[str(pod)]) for pod in gone}
    lab, _ = follow(rundir, lab, {**lab.statuses, **leaving})
    behind = {backend.pod for service in lab.cluster.services for backend in service.backends}
    if not behind & leaving.keys():
        return lab
    publish(rundir, lab.cluster, patience=1.0)
    return lab


def unknown(outcomes: Mapping[str, str], ends: Mapping[str, tuple[bool, bool, float, int]]) -> bool:
    """Whether controllers may have something to do: an end that they do not know, containers that were started again."""
    return any(ended != (name in outcomes) or restarts for name, (ended, _, _, restarts) in ends.items())


def take_over(rundir: RunDir, lab: Lab) -> tuple[Lab, int, list[str]]:
    """Ask the lab's agent, and follow what it says; sentences on what could not be done."""
    if agentclient.recorded(rundir.path) is None:
        return lab, 0, []
    try:
        with agentclient.connect(rundir.path, lab.cluster.lab) as agent:
            seen = agent.statuses()
            lab, changed = follow(rundir, lab, seen.pods)
            agent.acknowledge(seen.version, 0.0 if unknown(lab.cluster.outcomes, seen.ends) else None)
    except StateError as gone:  # an agent that dies now is found by the next command
        return lab, 0, [gone.message]
    except OSError as error:
        return lab, 0, [f"the run state does not take how Pods are: {error.filename}: {error.strerror}"]
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
    problems += publish(rundir, lab.cluster)
    return lab, changed, [*(Warning("agent", problem, Mark("", 0)) for problem in problems), *late]


def publish(rundir: RunDir, cluster: Cluster, **patience: float) -> list[str]:
    """Make names and health checks follow the cluster."""
    from netlab.runtime import dns
    from netlab.runtime.client import healthchecks

    return [*dns.sync(cluster, **patience), *healthchecks.sync(rundir, cluster)]
