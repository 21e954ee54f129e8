"""The selector of a Service matches no Pod."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, services, to_service
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    spec["selector"] = {key: f"{value}-v2" for key, value in spec.get("selector", {}).items()}


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (REFUSED,))


FAULT = Fault(
    id="selector-mismatch",
    symptom="connections to the Service are refused by an ICMP error, though its Pods run and answer",
    cause="the Service's selector matches the labels of no Pod, so the Service has no endpoints",
    level=1,
    source="kubernetes/kubernetes#88012",
    look_alikes=("target-port-name-wrong", "pods-not-ready", "target-port-wrong"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
