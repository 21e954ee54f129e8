"""A Service that clients use is gone."""

from __future__ import annotations

from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import services, to_service
from netlab.model import Cluster


def _delete(objects: Objects, at: str) -> Objects:
    return tuple(each for each in objects if not (each.kind == "Service" and f"{each.namespace}/{each.name}" == at))


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, ())


FAULT = Fault(
    id="service-deleted",
    symptom="clients that have the address of the Service get no reply, and its name is unknown; its Pods run and answer",
    cause="the Service was deleted, or applied to another namespace",
    level=1,
    source="kubernetes.io, debug Services: does the Service exist?",
    look_alikes=("service-headless", "selector-mismatch"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=services,
    control=_control,
    on_objects=_delete,
)
