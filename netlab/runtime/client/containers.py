"""The containers that really run, between the agent's messages and the objects of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netlab import plain
from netlab.errors import StateError
from netlab.names import short_hash
from netlab.objects import Process
from netlab.objects.probes import Probe
from netlab.runtime.client import agentclient

LOGS = "logs"  # below the lab's run directory; mode 700, since what a Pod writes there must not be run by others


def log_name(namespace: str, pod: str, container: str, *, previous: bool = False) -> str:
    """The file that a container's output goes to; the run before the present one has ``.previous`` in it."""
    stem = f"{namespace}_{pod}_{container}"
    if len(stem) > 230:  # a file's name has 255 bytes
        stem = f"{stem[:220]}-{short_hash(stem)}"
    return f"{stem}{'.previous' if previous else ''}.log"


def to_messages(processes: Iterable[Process], daemon: str = "-") -> list[dict[str, Any]]:
    """The Pods of these processes, as ``run`` takes them; ``daemon``: the kubeconfig of nodes' daemons."""
    pods: dict[tuple[str, str, str], dict[str, Any]] = {}
    for process in processes:
        pod = pods.setdefault(
            (process.netns, process.namespace, process.pod),
            {
                "netns": f"/run/netns/{process.netns}",
                "namespace": process.namespace,
                "pod": process.pod,
                "hostname": process.hostname,
                "etc": process.etc,
                "restart": process.restart,
                "grace": process.grace,
                **({"daemon": daemon} if process.daemon else {}),
                "containers": [],
            },
        )
        pod["containers"].append(
            {
                "name": process.container,
                "role": process.role,
                "order": process.order,
                "argv": list(process.argv),
                "env": [list(pair) for pair in process.env],
                "links": [list(pair) for pair in process.links],
                "workdir": process.workdir,
                "missing": process.missing,
                "late": process.late,
                "probes": plain.dump(process.probes),
                "input": process.input,
                "log": log_name(process.namespace, process.pod, process.container),
                "previous": log_name(process.namespace, process.pod, process.container, previous=True),
            }
        )
    return list(pods.values())


def from_message(pod: Mapping[str, Any]) -> list[Process]:
    """The inverse of ``to_messages``, for one Pod; ``stopped`` is the number that the agent knows a process by."""
    return [
        Process(
            str(pod["netns"]).removeprefix("/run/netns/"),
            pod["namespace"],
            pod["pod"],
            container["name"],
            container["role"],
            container["order"],
            tuple(container["argv"]),
            tuple((name, value) for name, value in container["env"]),
            container["workdir"],
            pod["hostname"],
            pod["restart"],
            pod["grace"],
            container["missing"],
            container["late"],
            plain.load(tuple[Probe, ...], container["probes"]),
            stopped=container["pid"] if container.get("stopped") else 0,
            etc=pod.get("etc", ""),
            input=container.get("input", ""),
            daemon=bool(pod.get("daemon")),
        )
        for container in pod["containers"]
    ]


def times(lab: str, rundir: Path, log: str) -> list[tuple[float, int]]:
    """When that log had which length; nothing where the agent that saw it is no more."""
    if agentclient.recorded(rundir) is None:
        return []
    try:
        with agentclient.connect(rundir, lab) as agent:
            return agent.times(log)
    except StateError:
        return []


def states(lab: str, rundir: Path, *, events: bool = False) -> dict[tuple[str, str], dict[str, Any]] | None:
    """The agent's records of Pods with running commands, by namespace and name; None if no agent runs."""
    if agentclient.recorded(rundir) is None:
        return None
    try:
        with agentclient.connect(rundir, lab) as agent:
            return {(pod["namespace"], pod["pod"]): pod for pod in agent.processes(events=events)}
    except StateError:
        return None
