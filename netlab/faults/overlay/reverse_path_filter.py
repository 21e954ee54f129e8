"""Strict reverse path filtering meets asymmetric paths."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, is_to_others, set_sysctl
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Route, State
from netlab.planes import Plane


def _split(cluster: Cluster, state: State, node: Node) -> State:
    gateway = next(
        (route.via for route in state.only(Route) if (route.netns, route.dst) == (node.netns, "0.0.0.0/0")), ""
    )
    if not gateway:
        return state
    state = changed(
        state,
        Route,
        is_to_others(cluster, node),
        lambda route: replace(route, via=gateway, dev="eth0", onlink=False, src="", scope="global"),
    )
    return set_sysctl(state, node.netns, net__ipv4__conf__all__rp_filter="1")


def _planes(plane: Plane) -> bool:
    return traits.tunnelled(plane) and traits.routed_apart(plane)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="reverse-path-filter",
    symptom="packets from other nodes arrive at the tunnel device of this node and go no further",
    cause="rp_filter is 1, and the way back to the senders leads through another device than the one by which they came",
    level=3,
    source="projectcalico/calico#5643",
    look_alikes=("forwarding-off", "forward-policy-drop", "vtep-mac-stale"),
    planes=_planes,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_split),
)
