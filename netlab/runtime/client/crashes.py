"""Containers that crash: the warnings of ``up`` about commands that end and restart, or cannot be executed.

A container has crashed once its command ended and should not have: with restartPolicy Always whatever the status, else
with another status than 0.  The Pods of one workload crash for one reason, so they share a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netlab.errors import Mark
from netlab.model import Cluster, Pod
from netlab.spec import Warning

Shown = Mapping[str, Any]  # a Pod, or a container, as the agent shows it
_BACKOFFS = ("CrashLoopBackOff", "RunContainerError")
_NEVER_RAN = ("RunContainerError", "CreateContainerError")
_NAMED = 10  # Pods that a line names before it only counts
_CURE = "`containers: respond` in the Lab serves its ports instead"


def name(pod: Shown) -> str:
    """``namespace/name``."""
    return f"{pod['namespace']}/{pod['pod']}"


def crashed(pod: Shown, container: Shown) -> str:
    """The way a container crashed; empty if it did not."""
    waits = container["state"].get("waiting", {})
    if waits.get("reason") in _NEVER_RAN and not container["missing"]:  # of a missing program the lint says it
        return str(waits.get("message") or "its command cannot be executed")
    end = container["state"].get("terminated") or (container["last"] or {}).get("terminated")
    if end and end.get("reason") == "StartError":
        return str(end.get("message") or "its command cannot be executed")
    if not end or (end["exitCode"] == 0 and (pod["restart"] != "Always" or container["role"] == "init")):
        return ""
    if end.get("signal"):
        return f"its command was ended by signal {end['signal']}"
    return f"its command ended with exit status {end['exitCode']}"


def gave_up(pod: Shown, container: Shown) -> bool:
    """Whether a container does not run now and will not for a while: what waits for it can stop waiting."""
    if container["missing"] or container["state"].get("waiting", {}).get("reason") in _BACKOFFS:
        return True
    end = container["state"].get("terminated")
    return end is not None and (pod["restart"] == "Never" or (pod["restart"] == "OnFailure" and end["exitCode"] == 0))


def still(pods: Iterable[Shown]) -> Iterator[Shown]:
    """The Pods without their containers that run now."""
    for pod in pods:
        yield {
            **pod,
            "containers": [container for container in pod["containers"] if "running" not in container["state"]],
        }


def warnings(pods: Iterable[Shown], cluster: Cluster) -> Iterator[Warning]:
    """A line for each workload, container and reason, naming all its Pods."""
    by_name = {str(pod): pod for pod in cluster.pods}
    groups: dict[tuple[str, str, str], list[Pod]] = {}
    for pod in pods:
        for container in pod["containers"]:
            how = crashed(pod, container)
            if how and pod.get("daemon"):
                message = f"the agent of node {pod['pod']} crashed: {how}; netlab logs {pod['pod']} has its output"
                yield Warning("agent-crashes", message, cluster.mark or Mark("", 0), f"Node {pod['pod']}")
            if how and name(pod) in by_name:
                own = by_name[name(pod)]
                whose = f"{own.namespace}/{own.owner}" if own.owner else str(own)
                groups.setdefault((whose, container["name"], how), []).append(own)
                break  # one reason for each Pod
    for (_, container, how), members in groups.items():
        names = ", ".join(map(str, members[:_NAMED]))
        more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
        which = f"Pod {names}" if len(members) == 1 else f"Pods {names}{more}"
        folders = [
            spec.mark for spec in (*members[0].containers, *members[0].inits) if spec.name == container and spec.mark
        ]
        mark = next(iter(folders), members[0].mark) or Mark("", 0)
        message = f"container {container} of {which} crashed: {how}; {_CURE}"
        yield Warning("container-crashes", message, mark, f"Pod {members[0]}")
