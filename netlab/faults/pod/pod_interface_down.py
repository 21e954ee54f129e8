"""A Pod's eth0 is down."""

from __future__ import annotations

from netlab.faults.edit import at_pod, down
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import State


def _down(_: Cluster, state: State, pod: Pod) -> State:
    return down(state, pod.netns, "eth0")


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="pod-interface-down",
    symptom='nobody reaches the Pod, and what it sends ends with "Network is unreachable"',
    cause="the Pod's eth0 is down, and its routes are gone with it",
    level=1,
    source="ip-link(8), set down",
    look_alikes=("pod-link-down", "pod-default-route-missing"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_down),
)
