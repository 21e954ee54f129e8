"""A Pod has no IPv6 address."""

from __future__ import annotations

from netlab.faults.edit import at_pod, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Addr, Route, State
from netlab.planes import Plane


def _lose(_: Cluster, state: State, pod: Pod) -> State:
    state = without(state, Route, lambda route: route.netns == pod.netns and ":" in route.dst)
    return without(state, Addr, lambda addr: addr.netns == pod.netns and ":" in addr.address)


def _control(cluster: Cluster, at: str) -> Control | None:
    control = to_pod(cluster, at, (TIMEOUT, UNREACHABLE))
    return control._replace(version=6) if control and len(cluster.families) > 1 else None


def _planes(plane: Plane) -> bool:
    return "IPv6" in plane.families


FAULT = Fault(
    id="pod-without-ipv6",
    symptom="the Pod is reached by IPv4, and not by IPv6",
    cause="the CNI configuration of the node has an IPv4 range alone: the Pod has no IPv6 address",
    level=1,
    source="projectcalico/calico#6751",
    look_alikes=("forwarding6-off", "route6-to-peer-missing", "pod-link-down"),
    planes=_planes,
    requires="a lab of both families, a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_lose),
)
