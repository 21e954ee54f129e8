"""A node port answers on the nodes with a backend alone."""

from __future__ import annotations

from typing import Any

from netlab.faults import traits
from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import services, to_node_port
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    spec["externalTrafficPolicy"] = "Local"


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_node_port(cluster, at, far=True)


FAULT = Fault(
    id="external-traffic-local",
    symptom="the node port works on some nodes and is silent on others",
    cause="externalTrafficPolicy is Local, and the node that is asked has no backend of the Service",
    level=2,
    source="kubernetes/kubernetes#66354",
    look_alikes=("node-ports-filtered", "internal-traffic-local"),
    planes=traits.crossing,
    requires="a Service of type NodePort, a node without a backend of it, and a host outside",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
