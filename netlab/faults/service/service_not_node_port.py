"""A Service is of type ClusterIP, and its clients are outside."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import services, to_node_port
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    spec["type"] = "ClusterIP"
    spec.pop("externalTrafficPolicy", None)
    for port in spec.get("ports", ()):
        port.pop("nodePort", None)


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_node_port(cluster, at)


FAULT = Fault(
    id="service-not-node-port",
    symptom="the node port is refused on every node; inside the cluster the Service works",
    cause="the Service is of type ClusterIP: an update of the chart took the type away",
    level=1,
    source="kubernetes.io, Service: type",
    look_alikes=("node-port-changed", "node-ports-filtered"),
    requires="a Service of type NodePort, and a host outside",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
