"""The Pods of kube-system's DaemonSets as the API server would return them; the kernel of their node is their state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import stamp
from netlab.model.topology.nodefaults import Fault, Part, sentence
from netlab.model.workloads.systempods import NAMESPACE, PROXY, system_pods

if TYPE_CHECKING:
    from netlab.model import Pod


def asked(request: Request) -> bool:
    """Whether a request is about the namespace of these Pods."""
    return request.every or request.where == NAMESPACE


def with_faults(request: Request) -> list[tuple[Pod, tuple[Fault, ...]]]:
    """The Pods, each with what is wrong with its part of its node; none where the request is not about them."""
    if not asked(request):
        return []
    faults = request.faults()
    return [(pod, faults_of(pod, faults.get(pod.node, ()))) for pod in system_pods(request.running.cluster)]


def faults_of(pod: Pod, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Those of a node's faults that are the Pod's."""
    return tuple(fault for fault in faults if (fault.part is Part.PROXY) == is_proxy(pod))


def is_proxy(pod: Pod) -> bool:
    """Whether the Pod is kube-proxy's, not the CNI agent's."""
    return pod.controller.endswith(f"/{PROXY.name}")


def status(pod: Pod, faults: tuple[Fault, ...], since: float) -> Item:
    """phase, conditions, containerStatuses: without its device or table a container crashes, else it is not ready."""
    ready = {"type": "Ready", "status": str(not faults)}
    if faults:
        names = ", ".join(container.name for container in pod.containers)
        ready |= {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
    conditions = [
        {"type": "Initialized", "status": "True"},
        ready,
        {**ready, "type": "ContainersReady"},
        {"type": "PodScheduled", "status": "True"},
    ]
    crashed = any(fault.fatal for fault in faults)
    state: Item = {"running": {"startedAt": stamp(since)}}
    more: Item = {}
    if crashed:
        message = f"back-off 10s restarting failed container: {sentence(faults)}"
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        more = {"lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": sentence(faults)}}}
    listed = [
        {
            "name": container.name,
            "image": container.image,
            "ready": not faults,
            "restartCount": int(crashed),
            "started": not crashed,
            "state": state,
            **more,
        }
        for container in pod.containers
    ]
    return {"phase": "Running", "conditions": conditions, "containerStatuses": listed}


def record(pod: Pod, faults: tuple[Fault, ...], since: float) -> Item:
    """What a kubelet would record of the Pod: an event where something is wrong."""
    if not faults:
        return {}
    reason, message = "Unhealthy", f"Readiness probe failed: {sentence(faults)}"
    if any(fault.fatal for fault in faults):
        reason = "BackOff"
        message = f"Back-off restarting failed container {pod.containers[0].name} in pod {pod}: {sentence(faults)}"
    times = {"count": 1, "first": since, "last": since, "from": "kubelet"}
    return {"events": [{"type": "Warning", "reason": reason, "message": message, **times}]}
