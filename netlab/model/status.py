"""The effect of Pods' processes on a cluster: Pods that are ready for traffic, and Pods that have ended.

Documents say what should run; whether it does only the lab's agent knows.  ``build`` makes the cluster in which all
Pods run well.  Then ``observed`` puts the statuses over it.  A Pod that is not ready is no ready backend of a Service.
A Pod that has ended (Succeeded, Failed) is no backend and no peer of a policy.

Pods of which nothing runs are as they were built: the responder serves from the start.  But no Pod with a readinessGate
is ever ready, as in a cluster whose controller does not set the gate's condition: there is no controller here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from netlab.model.cluster import Cluster, Pod
from netlab.model.cluster.services import Backend, Service
from netlab.spec import Warning

# (ready, ended); of a Pod that was deleted also the second of the epoch at which its grace period is over
Status = tuple[int, ...]
Statuses = Mapping[str, Status]  # by namespace/name
_DELAYING = ("readinessProbe", "startupProbe")


def runs(pod: Pod) -> bool:
    """Whether a container of the Pod is a real process."""
    return any(container.runs for container in pod.containers)


def presumed(pod: Pod) -> bool:
    """Whether a Pod of which nothing is known yet is taken for ready.

    Without probes nothing tells better than that it should run; with one, or after init containers, it takes a while.
    """
    if any(container.runs for container in pod.inits):
        return False
    listed = [container for where in ("containers", "initContainers") for container in pod.spec.get(where, ())]  # type: ignore[attr-defined]
    return not any(container.get(field) for container in listed for field in _DELAYING)


def gates(pod: Pod) -> list[str]:
    """The condition types of its readinessGates."""
    listed = pod.spec.get("readinessGates") or ()
    return [str(gate["conditionType"]) for gate in listed]  # type: ignore[attr-defined]


def unready(cluster: Cluster) -> Iterator[Warning]:
    """The warnings about Pods that cannot become ready."""
    named = set()
    for pod in cluster.pods:
        owner = pod.owner or str(pod)
        if gates(pod) and owner not in named and pod.mark is not None:
            named.add(owner)
            message = (
                f"Pod {pod} has the readiness gate {', '.join(gates(pod))}, and no controller in this lab sets its condition: "
                "it is never ready, so its Services leave it out"
            )
            yield Warning("readiness-gate", message, pod.mark, f"Pod {pod}")


def observed(cluster: Cluster, statuses: Statuses) -> Cluster:
    """The cluster with these statuses; the same object where they change nothing."""
    changed: dict[str, Pod] = {}
    for pod in cluster.pods:
        ready, ended, leaving = True, False, 0
        if runs(pod):
            status = statuses.get(str(pod)) or (presumed(pod), False)
            ready, leaving = bool(status[0]), next(iter(status[2:]), 0)
            ended = bool(status[1]) and all(container.runs for container in pod.containers)
        ready = ready and not ("readinessGates" in pod.spec and gates(pod))
        if ended or leaving or not ready:
            changed[str(pod)] = replace(pod, ready=ready and not ended, ended=ended, leaving=leaving)
    if not changed:
        return cluster
    pods = tuple(changed.get(str(pod), pod) for pod in cluster.pods)
    services = tuple(_service(service, changed) for service in cluster.services)
    return replace(cluster, pods=pods, services=services)


def _service(service: Service, changed: Mapping[str, Pod]) -> Service:
    """A Service with manual EndpointSlices: the slices say which endpoints are ready."""
    if not any(backend.pod in changed and not backend.given for backend in service.backends):
        return service
    backends = tuple(
        _backend(backend, changed[backend.pod]) if backend.pod in changed and not backend.given else backend
        for backend in service.backends
        if backend.given or backend.pod not in changed or not changed[backend.pod].ended
    )
    return replace(service, backends=backends)


def _backend(backend: Backend, pod: Pod) -> Backend:
    leaving = pod.leaving > 0
    return replace(backend, ready=pod.ready and not leaving, serving=pod.ready, terminating=leaving)
