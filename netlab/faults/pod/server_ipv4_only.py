"""The process of a Pod listens by IPv4 alone."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Listener, State
from netlab.planes import Plane


def _bind(_: Cluster, state: State, pod: Pod) -> State:
    def fits(listener: Listener) -> bool:
        return listener.netns == pod.netns and listener.protocol == "TCP"

    return changed(state, Listener, fits, lambda listener: replace(listener, bound="0.0.0.0"))


def _control(cluster: Cluster, at: str) -> Control | None:
    control = to_pod(cluster, at, (REFUSED,))
    return control._replace(version=6) if control and len(cluster.families) > 1 else None


def _planes(plane: Plane) -> bool:
    return "IPv6" in plane.families


FAULT = Fault(
    id="server-ipv4-only",
    symptom="connections to the Pod by IPv6 are refused (RST), and those by IPv4 are not",
    cause="the process listens on 0.0.0.0, which is IPv4 alone; [::] would be both",
    level=1,
    source="kubernetes.io, IPv4/IPv6 dual-stack",
    look_alikes=("pod-without-ipv6", "server-on-loopback"),
    planes=_planes,
    requires="a lab of both families, a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_bind),
)
