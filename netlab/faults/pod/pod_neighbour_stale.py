"""The node has the MAC address of a Pod that is gone."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across_to, servers
from netlab.model import Cluster, Pod
from netlab.objects import Neigh, State


def _spoil(_: Cluster, state: State, pod: Pod) -> State:
    own = {str(address.ip) for address in pod.addresses}

    def fits(neigh: Neigh) -> bool:
        return neigh.address in own and neigh.netns != pod.netns

    return changed(state, Neigh, fits, lambda neigh: replace(neigh, mac="02:00:00:00:0a:0a"))


def _control(cluster: Cluster, at: str) -> Control | None:
    return across_to(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="pod-neighbour-stale",
    symptom="nobody outside the node reaches the Pod; frames for it leave the node's bridge or link to a MAC that nobody has",
    cause="the node's neighbour entry for the Pod's address has the MAC address of an earlier Pod",
    level=2,
    source="flannel-io/flannel#533",
    look_alikes=("pod-link-down", "pod-address-wrong"),
    planes=traits.routed,
    requires="a Pod that serves a port, and one on another node",
    places=servers,
    control=_control,
    on_state=at_pod(_spoil),
)
