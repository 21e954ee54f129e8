"""A load balancer serves other clients than are there."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, from_outside, is_open, service_of, services
from netlab.model import Cluster


def _change(spec: dict[str, Any]) -> None:
    spec["loadBalancerSourceRanges"] = ["192.0.2.0/24"]


def _control(cluster: Cluster, at: str) -> Control | None:
    service = service_of(cluster, at)
    if service is None or service.kind != "LoadBalancer" or not service.load_balancer_ips:
        return None
    control = from_outside(cluster, str(service.load_balancer_ips[0]), f"{service.ports[0].port}/TCP", (TIMEOUT,))
    return control if control and is_open(cluster, control) else None


FAULT = Fault(
    id="source-ranges-wrong",
    symptom="the load balancer's address is silent for clients outside; node ports and the cluster address work",
    cause="loadBalancerSourceRanges has not the network of the clients",
    level=2,
    source="kubernetes.io, loadBalancerSourceRanges",
    look_alikes=("external-traffic-local",),
    requires="a Service of type LoadBalancer, and a host outside",
    places=services,
    control=_control,
    on_objects=at_object("Service", _change),
)
