"""A policy asks for two things at once, and means either."""

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
            f"{name}-policy-and-for-or",
            {
                "podSelector": {"matchLabels": labels},
                "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "ops"}}, "podSelector": {}}]}],
            },
        ),
    )


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in servers(cluster, state) if (pod := pod_of(cluster, at)) and pod.labels and not pod.owner]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-and-for-or",
    symptom="Pods of the own namespace are denied, though the rule names all Pods",
    cause="podSelector and namespaceSelector stand in one item of the list, so both must match: a dash is missing",
    level=2,
    source="redhat-appstudio/infra-deployments#7039",
    look_alikes=("policy-namespace-label", "policy-peer-misspelt"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=_places,
    control=_control,
    on_objects=_apply,
)
