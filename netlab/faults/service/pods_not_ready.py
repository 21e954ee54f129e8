"""The Pods of a Service are not ready."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import edited
from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import REFUSED, is_usual, to_service
from netlab.model import Cluster
from netlab.model.cluster.services import Service
from netlab.objects import State


def _gate(objects: Objects, at: str) -> Objects:
    def change(spec: dict[str, Any]) -> None:
        spec["readinessGates"] = [{"conditionType": "example.com/load-balancer-attached"}]

    return edited(objects, "Pod", at, change)


def _places(cluster: Cluster, _: State) -> list[str]:
    return [str(pod) for pod in cluster.own_pods if not pod.owner and _service(cluster, str(pod))]


def _service(cluster: Cluster, at: str) -> Service | None:
    """A Service whose only backend is the Pod."""
    fits = (each for each in cluster.services if is_usual(each) and {end.pod for end in each.backends} == {at})
    return next(fits, None)


def _control(cluster: Cluster, at: str) -> Control | None:
    service = _service(cluster, at)
    return to_service(cluster, str(service), (REFUSED,)) if service else None


FAULT = Fault(
    id="pods-not-ready",
    symptom="connections to the Service are refused by an ICMP error; its Pods run and answer at their own addresses",
    cause="the Pods are not ready: a readiness gate waits for a controller that is not there",
    level=2,
    source="kubernetes.io, Pod readiness gates",
    look_alikes=("selector-mismatch", "target-port-name-wrong"),
    requires="a Pod without an owner that is the only backend of a Service, and another Pod",
    places=_places,
    control=_control,
    on_objects=_gate,
)
