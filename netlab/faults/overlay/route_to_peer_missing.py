"""The route to another node's Pods is missing."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, is_to_others, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Route, State


def _lose(cluster: Cluster, state: State, node: Node) -> State:
    return without(state, Route, is_to_others(cluster, node))


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="route-to-peer-missing",
    symptom="Pods of this node reach each other, and no Pod of another node",
    cause="the node has no route to the other nodes' Pods: the agent that makes it lost it, or never ran",
    level=1,
    source="kubernetes/kubernetes#9580",
    look_alikes=("route-by-the-router", "route-blackholed", "forwarding-off"),
    planes=traits.routed_apart,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
