"""Pods that are deleted while their processes run: these have their grace period, and the lab's lock is free meanwhile.

The lab's documents still have the Pods.  The client that deleted them removes them when nothing of them runs any more;
the removal itself (``lab.change``) waits for what is left.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from netlab.errors import StateError
from netlab.model.status import runs
from netlab.plan.processes import grace
from netlab.runtime.client import agentclient
from netlab.runtime.readiness import leave_by
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import load_running


def begin(name: str, pods: Collection[str], seconds: int | None = None) -> dict[str, int]:
    """Have Pods (``namespace/name``) leave names and Services and end; when each has ended at the latest, by the epoch.

    Pods without a running process are not among them, and none is where the agent cannot do it.  ``seconds``: the grace period, instead of the Pods' own; one that
    is under way is only shortened.  Raises StateError where the lab has an unfinished change.
    """
    with lock.locked(name):
        rundir = RunDir(name)
        if rundir.pending() is not None:
            raise StateError(f"lab {name} has an unfinished change", hint=f"netlab up {name}")
        lab = load_running(name)
        chosen = [pod for pod in lab.cluster.pods if str(pod) in pods and runs(pod) and not pod.ended]
        if not chosen or not agentclient.serving(rundir.path):
            return {}
        now = time.time()
        until = {}
        for pod in chosen:
            last = int(now) + (grace(pod) if seconds is None else seconds)
            until[str(pod)] = min(last, pod.leaving) if pod.leaving else last
        leave_by(rundir, lab, until)
        try:
            with agentclient.connect(rundir.path, name) as agent:
                agent.terminate(
                    {
                        "netns": f"/run/netns/{pod.netns}",
                        "namespace": pod.namespace,
                        "pod": pod.name,
                        "leaving": until[str(pod)],
                        "seconds": max(0, until[str(pod)] - int(now)),
                    }
                    for pod in chosen
                )
                seen = agent.statuses()
                if seen.pods == rundir.statuses():  # else a step is due
                    agent.acknowledge(seen.version)
        except StateError:  # an older agent cannot, and one that dies ends them all
            return {}
        return until
