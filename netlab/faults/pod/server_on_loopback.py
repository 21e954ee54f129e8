"""The process of a Pod listens on 127.0.0.1."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Listener, State


def _bind(_: Cluster, state: State, pod: Pod) -> State:
    def fits(listener: Listener) -> bool:
        return listener.netns == pod.netns and listener.protocol == "TCP"

    return changed(state, Listener, fits, lambda listener: replace(listener, bound="127.0.0.1"))


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (REFUSED,))


FAULT = Fault(
    id="server-on-loopback",
    symptom="connections to the Pod are refused (RST); inside the Pod, localhost answers",
    cause="the process listens on 127.0.0.1 alone, as many servers do by default",
    level=1,
    source="kubernetes/website#7281",
    look_alikes=("server-dead", "server-other-port", "target-port-wrong"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_bind),
)
