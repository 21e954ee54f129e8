"""A policy allows what a Pod needs, and forgets the DNS."""

from __future__ import annotations

from netlab.faults.edit import (
    policy,
)
from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import (
    named,
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
            f"{name}-egress-without-dns",
            {
                "podSelector": {"matchLabels": labels},
                "policyTypes": ["Egress"],
                "egress": [{"to": [{"podSelector": {}}]}],
            },
        ),
    )


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in pods(cluster, state) if (pod := pod_of(cluster, at)) and pod.labels and not pod.owner]


def _control(cluster: Cluster, at: str) -> Control | None:
    return named(cluster, pod_of(cluster, at))


FAULT = Fault(
    id="egress-without-dns",
    symptom="the Pod resolves no name; by address it reaches what the policy allows",
    cause="the egress rules of the policy do not allow port 53 to kube-system, and everything else is denied",
    level=1,
    source="kubernetes/website#38267",
    look_alikes=("dns-server-wrong", "dns-port-filtered"),
    requires="a Pod with labels, without an owner, and a Service, in a lab with names",
    places=_places,
    control=_control,
    on_objects=_apply,
)
