"""The node has no route to a Pod of its own."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_pod, node_veth, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Route, State


def _lose(_: Cluster, state: State, pod: Pod) -> State:
    veth = node_veth(state, pod)
    name = veth.name if veth else ""
    return without(state, Route, lambda route: route.netns != pod.netns and route.dev == name and ":" not in route.dst)


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="pod-route-missing",
    symptom="nobody reaches the Pod, the node included; its neighbours are reached",
    cause="the node has no route to the Pod's link: the CNI plugin was interrupted",
    level=1,
    source="projectcalico/calico#12806",
    look_alikes=("pod-link-down", "pod-neighbour-stale"),
    planes=traits.host_routes,
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_lose),
)
