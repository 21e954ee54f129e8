"""The process of a Pod listens on another port than the Pod declares."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Listener, State


def _move(_: Cluster, state: State, pod: Pod) -> State:
    def fits(listener: Listener) -> bool:
        return listener.netns == pod.netns and listener.protocol == "TCP"

    return changed(state, Listener, fits, lambda listener: replace(listener, port=listener.port + 1000))


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (REFUSED,))


FAULT = Fault(
    id="server-other-port",
    symptom="connections to the port that the Pod declares are refused (RST); the process runs and listens",
    cause="the process listens on another port than containerPort says, which is documentation alone",
    level=1,
    source="learnk8s/learnk8s.io#248",
    look_alikes=("server-dead", "target-port-wrong"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_move),
)
