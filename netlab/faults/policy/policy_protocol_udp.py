"""A policy allows the port by UDP alone."""

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
from netlab.spec import Document


def port_number(pod: Document) -> int:
    """The first port of the Pod."""
    return next(
        (int(port["containerPort"]) for each in pod.body["spec"]["containers"] for port in each.get("ports", ())), 80
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
            f"{name}-policy-protocol-udp",
            {
                "podSelector": {"matchLabels": labels},
                "ingress": [{"ports": [{"port": port_number(pod), "protocol": "UDP"}]}],
            },
        ),
    )


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in servers(cluster, state) if (pod := pod_of(cluster, at)) and pod.labels and not pod.owner]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-protocol-udp",
    symptom="TCP connections to the port that the policy allows are denied",
    cause="the protocol of the rule's port is UDP",
    level=1,
    source="projectcalico/calico#8224",
    look_alikes=("policy-end-port-missing", "policy-port-name-wrong"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=_places,
    control=_control,
    on_objects=_apply,
)
