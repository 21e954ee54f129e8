"""The IPv6 route to another node's Pods is missing."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, is_to_others, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across6, nodes
from netlab.model import Cluster, Node
from netlab.objects import Route, State
from netlab.planes import Plane


def _lose(cluster: Cluster, state: State, node: Node) -> State:
    return without(state, Route, is_to_others(cluster, node, 6))


def _dual(plane: Plane) -> bool:
    return traits.dual(plane) and traits.routed_apart(plane)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across6(cluster, source=at)


FAULT = Fault(
    id="route6-to-peer-missing",
    symptom="Pods of this node reach Pods of other nodes by IPv4, and by IPv6 none",
    cause="the node has no IPv6 route to the other nodes' Pods: its agent runs with IPv4 alone",
    level=2,
    source="kubermatic/operating-system-manager#298",
    look_alikes=("forwarding6-off", "forward6-policy-drop", "pod-without-ipv6"),
    planes=_dual,
    requires="Pods on two nodes that reach each other by IPv6",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
