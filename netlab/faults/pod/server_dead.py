"""The process that served a Pod's ports is gone."""

from __future__ import annotations

from netlab.faults.edit import at_pod, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Listener, State


def _end(_: Cluster, state: State, pod: Pod) -> State:
    return without(state, Listener, lambda listener: listener.netns == pod.netns)


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (REFUSED,))


FAULT = Fault(
    id="server-dead",
    symptom="connections to the Pod are refused (RST); the Pod is pinged",
    cause="no process listens on the port: the server is dead, and no probe has noticed",
    level=1,
    source="kubernetes/website#7281",
    look_alikes=("server-other-port", "target-port-wrong"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_end),
)
