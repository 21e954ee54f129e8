"""What Pods' processes make of a cluster: who is ready for traffic, and who has ended.

Documents say what should run; whether it does only the lab's agent knows.  ``build`` makes the cluster in which all runs
well, and ``observed`` puts the statuses over it: a Pod that is not ready is no ready backend of a Service, one that has
ended (Succeeded, Failed) is no backend and no peer of a policy at all.

Pods of which nothing runs are as they were built: the responder serves from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netlab.model.cluster import Cluster, Pod
from netlab.model.services_types import Service

Status = tuple[bool, bool]  # (ready, ended)
Statuses = Mapping[str, Status]  # by namespace/name
_DELAYING = ("readinessProbe", "startupProbe")


def runs(pod: Pod) -> bool:
    """Whether a container of the Pod is a real process."""
    return any(one.runs for one in pod.containers)


def presumed(pod: Pod) -> bool:
    """Whether a Pod of which nothing is known yet is taken for ready.

    Without probes nothing tells better than that it should run; with one, or after init containers, it takes a while.
    """
    if any(one.runs for one in pod.inits):
        return False
    listed = [one for where in ("containers", "initContainers") for one in pod.spec.get(where, ())]  # type: ignore[attr-defined]
    return not any(one.get(field) for one in listed for field in _DELAYING)


def observed(cluster: Cluster, statuses: Statuses) -> Cluster:
    """The cluster with these statuses; the same object where they change nothing."""
    changed: dict[str, Pod] = {}
    for pod in cluster.pods:
        if not runs(pod):
            continue
        ready, ended = statuses.get(str(pod)) or (presumed(pod), False)
        ended = ended and all(one.runs for one in pod.containers)
        if ended or not ready:
            changed[str(pod)] = replace(pod, ready=False, ended=ended)
    if not changed:
        return cluster
    pods = tuple(changed.get(str(pod), pod) for pod in cluster.pods)
    services = tuple(_service(one, changed) for one in cluster.services)
    return replace(cluster, pods=pods, services=services)


def _service(service: Service, changed: Mapping[str, Pod]) -> Service:
    """An EndpointSlice of a Service without selector says itself who is ready."""
    if not service.selector or not any(one.pod in changed for one in service.backends):
        return service
    backends = tuple(
        replace(one, ready=False) if one.pod in changed else one
        for one in service.backends
        if one.pod not in changed or not changed[one.pod].ended
    )
    return replace(service, backends=backends)
