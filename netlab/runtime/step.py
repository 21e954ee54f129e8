"""The step that a lab's agent starts when the status of a Pod has changed, or when a Job's back-off is over.

The lab follows the statuses (``readiness``).  Then the controllers of Jobs act on the Pods that have ended
(``model.workloads.jobs``): the lab becomes what it is with these ends known, and the agent is asked to start the next
step when the next end is to be known.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from netlab.errors import NetlabError, StateError
from netlab.runtime.client import agentclient
from netlab.runtime.readiness import publish, take_over, unknown
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import RunDir

_SERVER = "kube-system/coredns"


def step(name: str) -> None:
    """Do one step that the agent requests."""
    with lock.locked(name):
        rundir = RunDir(name)
        if not rundir.exists() or rundir.pending() is not None:
            raise StateError(f"lab {name} has an unfinished change", hint=f"netlab up {name}")
        with agentclient.connect(rundir.path, name) as agent:
            seen = agent.statuses()
            ends = unknown(rundir.assignments().memory.get("outcomes", {}), seen.ends)
            if seen.acknowledged == seen.version and not ends:
                return  # somebody else was quicker
            # What crashes and starts again in a moment is as it was; but the DNS server has lost its names meanwhile.
            same = seen.pods == rundir.statuses() and not rundir.unsettled() and _SERVER not in seen.moved
            if same and not ends:
                agent.acknowledge(seen.version)
                return
        if not same:
            _follow(name, rundir)
        if ends:
            _control(name, rundir)


def _follow(name: str, rundir: RunDir) -> None:
    from netlab.runtime.state.running import load_running

    lab, changed, problems = take_over(rundir, load_running(name))
    # A server whose Pod was made anew has no names either.
    problems += publish(rundir, lab.cluster)
    rundir.event("readiness", changed=changed)
    for problem in problems:
        sys.stderr.write(f"readiness: {problem}\n")


def _control(name: str, rundir: RunDir) -> None:
    from netlab.model.workloads.jobs import Seen, known, specs
    from netlab.runtime.lab import know
    from netlab.runtime.state.running import load_running

    lab = load_running(name)
    with agentclient.connect(rundir.path, name) as agent:
        seen = agent.statuses()
    pods = {pod: Seen(*end) for pod, end in seen.ends.items()}
    outcomes, wait = known(lab.cluster, specs(lab.documents.objects, lab.cluster), pods, time.time())
    if outcomes != lab.cluster.outcomes:
        know(name, outcomes)
    with agentclient.connect(rundir.path, name) as agent:
        agent.acknowledge(seen.version if seen.pods == rundir.statuses() else 0, -1.0 if wait is None else wait)


def main(arguments: Sequence[str]) -> int:
    """Statuses as a command's: 0, or the error's own."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m netlab.runtime.step LAB; a lab's agent starts it\n")
        return 2
    try:
        step(arguments[0])
    except NetlabError as error:
        sys.stderr.write(f"readiness: {error.message}\n")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
