"""The targetPort of a Service is a port on which nobody listens."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, services, to_service
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    for port in spec.get("ports", ()):
        port["targetPort"] = 9999


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (REFUSED,))


FAULT = Fault(
    id="target-port-wrong",
    symptom="connections to the Service are refused (RST), though its Pods answer on their port",
    cause="the Service's targetPort is not the port on which the containers listen",
    level=1,
    source="rhobs/troubleshooting-scenarios#46",
    look_alikes=("selector-mismatch", "server-dead", "server-other-port"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
