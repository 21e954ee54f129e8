"""A Service has another port than its clients use."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, UNREACHABLE, services, to_service
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    for port in spec.get("ports", ()):
        port["port"] += 1


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (REFUSED, TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="service-port-wrong",
    symptom="connections to the port that clients use are refused; the Service has endpoints",
    cause="port and targetPort of the Service were mixed up: the Service listens on another port than its clients use",
    level=1,
    source="kubernetes/website#8295",
    look_alikes=("selector-mismatch", "target-port-wrong"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
