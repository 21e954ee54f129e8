"""After ``up``: wait, for a bounded time, until the commands that it started run, listen and are ready.

So that ``up`` and then ``exec client -- wget server`` works.  A readiness or startup probe says when; without one, a
declared port that is listened on is the best sign there is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netlab.errors import Mark, StateError
from netlab.kernel.host import netns as ns
from netlab.kernel.host.sockdiag import Listening
from netlab.model import Cluster, Pod, Port
from netlab.model.status import runs
from netlab.objects import Process
from netlab.objects.probes import READINESS, STARTUP, Probe
from netlab.runtime.client import agentclient
from netlab.runtime.client import crashes as crashed
from netlab.spec import Warning

START_PATIENCE = 10.0  # seconds; 200 Pods take 2 to 3
LISTEN_PATIENCE = 2.0  # seconds more; an interpreter with a web server takes 0.2
READY_PATIENCE = 8.0  # seconds more for probes; who begins to probe later than that is not waited for
_PAUSE = 0.02
_PROBE_PAUSE = 0.1


def settle(lab: str, rundir: Path, cluster: Cluster, ran: Sequence[Process]) -> list[Warning]:
    """Wait for the processes of ``ran``; return warnings about those that are not ready when patience ends.

    Where nothing was started, nothing is awaited; containers that crashed since are reported all the same.
    """
    if not ran and not (
        (cluster.folder or any(runs(pod) for pod in cluster.own_pods)) and agentclient.recorded(rundir)
    ):
        return []
    notes: list[Warning] = []
    try:
        with agentclient.connect(rundir, lab, START_PATIENCE + 5) as agent:
            if not ran:
                return list(crashed.warnings(crashed.still(agent.processes()), cluster))
            pending = agent.settle(START_PATIENCE)
            if pending:
                message = f"{pending} containers are still being started; netlab get pods -A shows them"
                notes.append(Warning("container-starting", message, Mark("", 0)))
            silent = _wait_for_ports(agent, cluster, ran)
            late = _wait_for_probes(agent, cluster, ran)
            pods = _wait_for_siblings(agent, cluster, ran)
            crashes = list(crashed.warnings(pods, cluster))
            gone = {
                crashed.name(pod) for pod in pods for container in pod["containers"] if crashed.crashed(pod, container)
            }
            # One reason for each Pod: what crashes neither listens nor is ready.
            notes += [
                *crashes,
                *(warning for warning in (*silent, *late) if warning.object.partition(" ")[2] not in gone),
            ]
    except StateError as failure:  # an agent that dies now is found by the next command
        notes.append(Warning("agent", failure.message, Mark("", 0)))
    return notes


def _wait_for_siblings(
    agent: agentclient.AgentClient, cluster: Cluster, ran: Sequence[Process]
) -> list[dict[str, Any]]:
    """The Pods of ``ran``.  Where one crashes, the others of its workload are waited for: they crash a moment later."""
    wanted = {(process.namespace, process.pod) for process in ran}
    owners = {(pod.namespace, pod.name): f"{pod.namespace}/{pod.owner}" for pod in cluster.pods if pod.owner}
    deadline = time.monotonic() + LISTEN_PATIENCE
    while True:
        pods = [pod for pod in agent.processes() if (pod["namespace"], pod["pod"]) in wanted]
        crashes = {
            (pod["namespace"], pod["pod"]): any(crashed.crashed(pod, each) for each in pod["containers"])
            for pod in pods
        }
        broken = {owners[pod] for pod, crash in crashes.items() if crash and pod in owners}
        if time.monotonic() > deadline or not any(
            not crash and owners.get(pod) in broken for pod, crash in crashes.items()
        ):
            return pods
        time.sleep(_PROBE_PAUSE)


def _wait_for_ports(agent: agentclient.AgentClient, cluster: Cluster, ran: Sequence[Process]) -> list[Warning]:
    pods = {(process.namespace, process.pod) for process in ran}
    probed = {(process.namespace, process.pod, process.container) for process in ran if _delaying(process)}
    wanted = [
        (pod, port)
        for pod in cluster.pods
        if (pod.namespace, pod.name) in pods
        for port in pod.ports
        if port.declared and port.served_by == "process" and port.protocol in ("TCP", "UDP")
        if (pod.namespace, pod.name, port.container) not in probed
    ]
    if not wanted:
        return []
    deadline = time.monotonic() + LISTEN_PATIENCE
    while True:
        silent = ns.each(dict.fromkeys(pod.netns for pod, _ in wanted), partial(_silent, wanted))
        waiting = [each for ports in silent.values() for each in ports]
        hopeless = _given_up(agent) if waiting else set()
        wanted = [(pod, port) for pod, port in waiting if (pod.namespace, pod.name, port.container) not in hopeless]
        if not wanted or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE)
    return [
        Warning(
            "container-not-listening",
            f"container {port.container} of Pod {pod} runs, and does not listen on its port {port.port}/{port.protocol} yet",
            port.mark or pod.mark or Mark("", 0),
            f"Pod {pod}",
        )
        for pod, port in wanted
    ]


def _delaying(process: Process) -> list[Probe]:
    return [probe for probe in process.probes if probe.kind in (READINESS, STARTUP)]


def _wait_for_probes(agent: agentclient.AgentClient, cluster: Cluster, ran: Sequence[Process]) -> list[Warning]:
    """Until the Pods that have such probes are ready, but for those that wait to be started again."""
    delays: dict[tuple[str, str], int] = {}
    for process in ran:
        for probe in _delaying(process):
            pod = process.namespace, process.pod
            delays[pod] = max(delays.get(pod, 0), probe.delay + probe.period * (probe.successes - 1))
    wanted = {pod for pod, delay in delays.items() if delay <= READY_PATIENCE}
    deadline = time.monotonic() + READY_PATIENCE
    while wanted:
        pods = {(pod["namespace"], pod["pod"]): pod for pod in agent.processes()}
        wanted = {pod for pod in wanted if pod in pods and not _ready(pods[pod]) and not _waits(pods[pod])}
        if not wanted or time.monotonic() > deadline:
            break
        time.sleep(_PROBE_PAUSE)
    late = [pod for pod in agent.processes(events=True) if (pod["namespace"], pod["pod"]) in delays and not _ready(pod)]
    marks = {(pod.namespace, pod.name): pod.mark for pod in cluster.pods}
    return [
        Warning(
            "pod-not-ready",
            f"Pod {crashed.name(pod)} is not ready: {_why(pod, delays[pod['namespace'], pod['pod']])}",
            marks.get((pod["namespace"], pod["pod"])) or Mark("", 0),
            f"Pod {crashed.name(pod)}",
        )
        for pod in late
    ]


def _ready(pod: dict[str, Any]) -> bool:
    return all(
        container["ready"]
        for container in pod["containers"]
        if container["role"] != "init" and not container["missing"]
    )


def _waits(pod: dict[str, Any]) -> bool:
    """Whether a container has ended, for good or until its time comes again."""
    return any(
        crashed.gave_up(pod, container)
        for container in pod["containers"]
        if container["role"] != "init" and not container["missing"]
    )


def _why(pod: dict[str, Any], delay: int) -> str:
    reasons = [
        event["message"] for event in pod.get("events", ()) if event["reason"] in ("Unhealthy", "BackOff", "Failed")
    ]
    if reasons:
        return str(reasons[-1])
    return (
        f"its probes say so after {delay} s at the soonest" if delay > READY_PATIENCE else "its probes have not said so"
    )


def _given_up(agent: agentclient.AgentClient) -> set[tuple[str, str, str]]:
    """The containers that will not listen for a while."""
    return {
        (pod["namespace"], pod["pod"], container["name"])
        for pod in agent.processes()
        for container in pod["containers"]
        if crashed.gave_up(pod, container)
    }


def _silent(wanted: Sequence[tuple[Pod, Port]], netns: str) -> list[tuple[Pod, Port]]:
    """The ports of a Pod without a listening process, at any of its addresses or at localhost alone."""
    with contextlib.closing(Listening()) as listening:
        return [
            (pod, port)
            for pod, port in wanted
            if pod.netns == netns
            if not listening.holds(port.protocol, port.port, (*(str(at.ip) for at in pod.addresses), "127.0.0.1"))
        ]
