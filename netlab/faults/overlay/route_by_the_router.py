"""The route to another node's Pods leads to the router."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, is_to_others
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Route, State


def _detour(cluster: Cluster, state: State, node: Node) -> State:
    gateway = next(
        (route.via for route in state.only(Route) if (route.netns, route.dst) == (node.netns, "0.0.0.0/0")), ""
    )
    if not gateway:
        return state
    return changed(
        state,
        Route,
        is_to_others(cluster, node),
        lambda route: replace(route, via=gateway, dev="eth0", onlink=False, src="", scope="global"),
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="route-by-the-router",
    symptom="Pods of this node reach no Pod of another node; their packets leave to the router",
    cause="the route to the other nodes' Pods leads to the underlay's router, which does not know the Pods",
    level=2,
    source="projectcalico/calico#8751",
    look_alikes=("route-to-peer-missing", "route-blackholed"),
    planes=traits.routed_apart,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_detour),
)
