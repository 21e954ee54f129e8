"""The targetPort of a Service is a name that no container's port has."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, services, to_service
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    for port in spec.get("ports", ()):
        port["targetPort"] = "htpp"


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (REFUSED,))


FAULT = Fault(
    id="target-port-name-wrong",
    symptom="connections to the Service are refused by an ICMP error; its Pods are ready and match its selector",
    cause="the Service's targetPort is a name, and no port of the containers has that name: the endpoints have no port",
    level=2,
    source="kubernetes.io, Service: port definitions",
    look_alikes=("selector-mismatch", "pods-not-ready"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
