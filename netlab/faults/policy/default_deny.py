"""A policy denies everything."""

from __future__ import annotations

from netlab.faults.edit import (
    policy,
)
from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import (
    REFUSED,
    TIMEOUT,
    pod_of,
    servers,
    to_pod,
)
from netlab.model import Cluster
from netlab.objects import (
    State,
)


def _apply(objects: Objects, at: str) -> Objects:
    namespace, _, name = at.partition("/")
    pod = next((each for each in objects if each.kind == "Pod" and f"{each.namespace}/{each.name}" == at), None)
    if pod is None:
        return objects
    return (*objects, policy(namespace, f"{name}-default-deny", {"podSelector": {}, "policyTypes": ["Ingress"]}))


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in servers(cluster, state) if (pod := pod_of(cluster, at)) and pod.labels and not pod.owner]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="default-deny",
    symptom="no Pod of the namespace is reached any more, also by its neighbours",
    cause="a NetworkPolicy selects all Pods of the namespace and allows nothing (default deny)",
    level=1,
    source="kubernetes.io, default deny all ingress traffic",
    look_alikes=("policy-peer-misspelt", "policy-namespace-label"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=_places,
    control=_control,
    on_objects=_apply,
)
