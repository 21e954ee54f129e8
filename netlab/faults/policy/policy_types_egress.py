"""A policy for what comes in denies all that goes out."""

from __future__ import annotations

from netlab.faults.edit import (
    policy,
)
from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import (
    REFUSED,
    TIMEOUT,
    from_pod,
    pod_of,
    pods,
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
    labels = pod.body["metadata"].get("labels", {})
    return (
        *objects,
        policy(
            namespace,
            f"{name}-policy-types-egress",
            {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}]},
        ),
    )


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in pods(cluster, state) if (pod := pod_of(cluster, at)) and pod.labels and not pod.owner]


def _control(cluster: Cluster, at: str) -> Control | None:
    return from_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-types-egress",
    symptom="the Pod reaches nobody, though the policy has rules for what comes in alone",
    cause="policyTypes names Egress, and the policy has no egress rule: nothing may leave",
    level=1,
    source="kubernetes.io, policyTypes",
    look_alikes=("egress-without-dns", "pod-default-route-missing"),
    requires="a Pod with labels, without an owner, and another one that serves a port",
    places=_places,
    control=_control,
    on_objects=_apply,
)
