"""A Service is for UDP, and its clients use TCP."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, UNREACHABLE, services, to_service
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    for port in spec.get("ports", ()):
        port["protocol"] = "UDP"


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (REFUSED, TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="service-protocol-wrong",
    symptom="connections to the Service are refused; its address and port are right",
    cause="the protocol of the Service's port is UDP, and its clients use TCP",
    level=1,
    source="kubernetes.io, Service: protocols",
    look_alikes=("service-port-wrong", "selector-mismatch"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
