"""The link of a Pod is not in the bridge."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_pod, node_veth, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Port, State


def _leave(_: Cluster, state: State, pod: Pod) -> State:
    veth = node_veth(state, pod)
    name = veth.name if veth else ""
    return without(state, Port, lambda port: port.dev == name)


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="port-not-in-bridge",
    symptom="nobody reaches the Pod, and it reaches nobody; its link is up",
    cause="the node's end of the Pod's link is no port of the bridge",
    level=1,
    source="ip-link(8), nomaster",
    look_alikes=("pod-link-down",),
    planes=traits.bridged,
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_leave),
)
