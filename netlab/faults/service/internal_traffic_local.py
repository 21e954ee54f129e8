"""A Service serves clients of the same node alone."""

from __future__ import annotations

from typing import Any

from netlab.faults import traits
from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, from_other_node, services
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    spec["internalTrafficPolicy"] = "Local"


def _control(cluster: Cluster, at: str) -> Control | None:
    return from_other_node(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="internal-traffic-local",
    symptom="the Service is silent from some nodes and works from others",
    cause="internalTrafficPolicy is Local: nodes without a backend drop what their Pods send to the Service",
    level=2,
    source="kubernetes.io, Service internal traffic policy",
    look_alikes=("external-traffic-local", "kube-proxy-rules-missing"),
    planes=traits.crossing,
    requires="a Service with backends on one node, and a Pod on another one",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
