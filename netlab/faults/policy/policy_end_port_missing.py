"""A policy allows one port of a range."""

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
            f"{name}-policy-end-port-missing",
            {"podSelector": {"matchLabels": labels}, "ingress": [{"ports": [{"port": 30_000}]}]},
        ),
    )


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in servers(cluster, state) if (pod := pod_of(cluster, at)) and pod.labels and not pod.owner]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-end-port-missing",
    symptom="ports of the range that the policy means are denied, but for the first",
    cause="the rule has port without endPort: it allows the first port of the range alone",
    level=1,
    source="kubernetes.io, targeting a range of ports",
    look_alikes=("policy-protocol-udp", "policy-port-name-wrong"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=_places,
    control=_control,
    on_objects=_apply,
)
