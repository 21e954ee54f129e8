"""A policy allows the range of Services, where Pods come from their own."""

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
    labels = pod.body["metadata"].get("labels", {})
    return (
        *objects,
        policy(
            namespace,
            f"{name}-policy-allows-service-range",
            {"podSelector": {"matchLabels": labels}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.96.0.0/16"}}]}]},
        ),
    )


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in servers(cluster, state) if (pod := pod_of(cluster, at)) and pod.labels and not pod.owner]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-allows-service-range",
    symptom="clients that come by the Service are denied, though the rule has its address",
    cause="the rule allows the Services' addresses; a packet has its sender's address, which no Service translates",
    level=2,
    source="kubernetes/kubernetes#100247",
    look_alikes=("policy-peer-misspelt", "default-deny"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=_places,
    control=_control,
    on_objects=_apply,
)
