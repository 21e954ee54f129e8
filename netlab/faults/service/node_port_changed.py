"""A Service has another node port than its clients use."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import services, to_node_port
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    for port in spec.get("ports", ()):
        port["nodePort"] = 32_000 + port["port"] % 700


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_node_port(cluster, at)


FAULT = Fault(
    id="node-port-changed",
    symptom="the port that clients outside use is refused on every node",
    cause="the Service was made anew and has another node port than the load balancer outside",
    level=1,
    source="kubernetes.io, Service: type NodePort",
    look_alikes=("service-not-node-port", "node-ports-filtered"),
    requires="a Service of type NodePort, and a host outside",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
