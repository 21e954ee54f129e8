"""A Service has another node port than its clients use."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.fault import Control, Fault
from netlab.faults.places import services, to_node_port
from netlab.model import Cluster
from netlab.model.cluster.services import Service


def _change(cluster: Cluster, at: str) -> Cluster:
    taken = {port.node_port for service in cluster.services for port in service.ports}

    def moved(service: Service) -> Service:
        free = (number for number in range(32_000, 32_768) if number not in taken)
        ports = tuple(replace(port, node_port=next(free)) if port.node_port else port for port in service.ports)
        return replace(service, ports=ports)

    return replace(cluster, services=tuple(moved(each) if str(each) == at else each for each in cluster.services))


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
    on_cluster=_change,
)
