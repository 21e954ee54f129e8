"""A blackhole route hides another node's Pods."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, is_to_others
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Route, State


def _hide(cluster: Cluster, state: State, node: Node) -> State:
    return changed(
        state,
        Route,
        is_to_others(cluster, node),
        lambda route: replace(route, via="", dev="", onlink=False, type="blackhole", scope="global", src=""),
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="route-blackholed",
    symptom="Pods of this node reach no Pod of another node, and get no error",
    cause="an aggregate of the routing daemon is left as a blackhole route where the other nodes' routes were",
    level=2,
    source="projectcalico/calico#3003",
    look_alikes=("route-to-peer-missing", "route-by-the-router"),
    planes=traits.routed_apart,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_hide),
)
