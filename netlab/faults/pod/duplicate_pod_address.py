"""Two Pods of a node have one address."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_pod, changed, node_veth
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across_to, pod_of, port_of, servers, serving
from netlab.model import Cluster, Pod
from netlab.objects import Addr, Neigh, Route, State


def _twin(cluster: Cluster, pod: Pod) -> Pod | None:
    ports = {port.port for port in pod.ports if port.protocol == "TCP"}
    others = [each for each in serving(cluster, pod.node) if each is not pod and each.node == pod.node]
    return next((each for each in others if ports & {port.port for port in each.ports}), None)


def _double(cluster: Cluster, state: State, pod: Pod) -> State:
    twin = _twin(cluster, pod)
    link, other = node_veth(state, pod), node_veth(state, twin) if twin else None
    own = next((address for address in pod.addresses if address.version == 4), None)
    if twin is None or link is None or other is None or own is None:
        return state
    state = changed(
        state,
        Neigh,
        lambda neigh: neigh.address == str(own.ip) and neigh.netns == link.netns,
        lambda neigh: replace(neigh, mac=twin.mac, dev=other.name if neigh.dev == link.name else neigh.dev),
    )
    state = changed(
        state,
        Route,
        lambda route: route.dst == f"{own.ip}/32" and route.netns == link.netns,
        lambda route: replace(route, dev=other.name),
    )
    return state.replace(Addr(twin.netns, "eth0", f"{own.ip}/32", why=WHY))


def _control(cluster: Cluster, at: str) -> Control | None:
    pod = pod_of(cluster, at)
    control = across_to(cluster, at, ())
    twin = _twin(cluster, pod) if pod else None
    return control._replace(watch="server") if control and twin and port_of(twin) == control.port else None


FAULT = Fault(
    id="duplicate-pod-address",
    symptom="another Pod answers at the address of this Pod; ping never fails",
    cause="two Pods of the node have the same address: the records of the address manager were lost",
    level=3,
    source="flannel-io/flannel#1437",
    look_alikes=("stale-translation",),
    planes=traits.routed,
    requires="two Pods of a node that serve the same port, and a Pod on another node",
    places=servers,
    control=_control,
    on_state=at_pod(_double),
)
