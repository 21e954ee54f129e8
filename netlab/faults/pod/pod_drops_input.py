"""A firewall inside a Pod drops what comes in."""

from __future__ import annotations

from netlab.faults.edit import at_pod, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import State


def _drop(_: Cluster, state: State, pod: Pod) -> State:
    rules = ("ct state established,related accept", "meta l4proto tcp counter drop")
    return with_rules(state, pod.netns, "inet", "sidecar", "filter input 0", *rules)


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT,))


FAULT = Fault(
    id="pod-drops-input",
    symptom="connections to the Pod are silent though packets reach its eth0 and the process listens",
    cause="rules inside the Pod's own namespace, left by an init container of a service mesh, drop what comes in",
    level=2,
    source="Istio documentation, istio-init and its rules",
    look_alikes=("pod-link-down", "default-deny"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_drop),
)
