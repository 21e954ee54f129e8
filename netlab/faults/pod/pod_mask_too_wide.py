"""A Pod takes other nodes' Pods for its neighbours."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, of_pod, pairs, pod_of, pods, port_of
from netlab.model import Cluster, Pod
from netlab.objects import Addr, State
from netlab.planes import Plane


def _widen(_: Cluster, state: State, pod: Pod) -> State:
    def fits(addr: Addr) -> bool:
        return addr.netns == pod.netns and addr.dev == "eth0" and ":" not in addr.address

    return changed(state, Addr, fits, lambda addr: replace(addr, address=addr.address.partition("/")[0] + "/20"))


def _planes(plane: Plane) -> bool:
    return traits.bridged_and_routed(plane)


def _control(cluster: Cluster, at: str) -> Control | None:
    pod = pod_of(cluster, at)
    for source, server in pairs(cluster, source=pod.node if pod else "-"):
        near = pod and int(server.addresses[0].ip) >> 12 == int(pod.addresses[0].ip) >> 12
        if source is pod and near and server.addresses[0].version == 4:
            return Control(of_pod(source), of_pod(server), port_of(server), broken=(TIMEOUT, UNREACHABLE))
    return None


FAULT = Fault(
    id="pod-mask-too-wide",
    symptom="the Pod reaches Pods of its node, and Pods of other nodes not: it asks for their MAC addresses itself",
    cause="the Pod's address has too wide a prefix, so that Pods of other nodes look like neighbours",
    level=2,
    source="containernetworking/plugins#629",
    look_alikes=("pod-default-route-missing",),
    planes=_planes,
    requires="Pods on two nodes that reach each other",
    places=pods,
    control=_control,
    on_state=at_pod(_widen),
)
