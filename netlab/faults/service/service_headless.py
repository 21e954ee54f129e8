"""A Service was made headless."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import service_of, services, to_service
from netlab.model import Cluster
from netlab.objects import State


def _change(spec: dict[str, Any]) -> None:
    for key in ("clusterIPs", "ipFamilyPolicy"):
        spec.pop(key, None)
    spec["clusterIP"] = "None"


def _places(cluster: Cluster, state: State) -> list[str]:
    return [at for at in services(cluster, state) if (each := service_of(cluster, at)) and each.kind == "ClusterIP"]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, ())


FAULT = Fault(
    id="service-headless",
    symptom="clients that have the address of the Service get no reply; its name leads to Pods now",
    cause="the Service was made anew with clusterIP: None: no address stands for its Pods, and the old one is nobody's",
    level=2,
    source="kubernetes.io, headless Services",
    look_alikes=("service-deleted",),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=_places,
    control=_control,
    on_objects=at_object("Service", _change),
)
