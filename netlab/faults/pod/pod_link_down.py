"""The node's end of a Pod's link is down."""

from __future__ import annotations

from netlab.faults.edit import at_pod, down, node_veth
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import State


def _down(_: Cluster, state: State, pod: Pod) -> State:
    veth = node_veth(state, pod)
    return down(state, veth.netns, veth.name) if veth else state


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="pod-link-down",
    symptom="nobody reaches the Pod, and it reaches nobody; its eth0 has no carrier",
    cause="the node's end of the Pod's link is down",
    level=1,
    source="ip-link(8), NO-CARRIER",
    look_alikes=("pod-interface-down", "port-not-in-bridge", "pod-route-missing"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_down),
)
