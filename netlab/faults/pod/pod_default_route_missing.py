"""A Pod has no default route."""

from __future__ import annotations

from netlab.faults.edit import at_pod, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import UNREACHABLE, is_open, is_usual, of_pod, pod_of, pods
from netlab.model import Cluster, Pod
from netlab.objects import Route, State


def _lose(_: Cluster, state: State, pod: Pod) -> State:
    return without(state, Route, lambda route: route.netns == pod.netns and route.dst == "0.0.0.0/0")


def _control(cluster: Cluster, at: str) -> Control | None:
    pod = pod_of(cluster, at)
    if pod is None:
        return None
    for service in cluster.services:
        if is_usual(service) and at not in {backend.pod for backend in service.backends}:
            port = next((port for port in service.ports if port.protocol == "TCP"), None)
            target = f"svc/{service.name}.{service.namespace}"
            control = Control(of_pod(pod), target, f"{port.port if port else 0}/TCP", broken=(UNREACHABLE,))
            if port and is_open(cluster, control):
                return control
    return None


FAULT = Fault(
    id="pod-default-route-missing",
    symptom='what the Pod sends to Services ends at once with "Network is unreachable"; nothing leaves its eth0',
    cause="the Pod has no default route",
    level=1,
    source="projectcalico/calico#12806",
    look_alikes=("pod-interface-down",),
    requires="a Pod, and a Service of which it is no backend",
    places=pods,
    control=_control,
    on_state=at_pod(_lose),
)
