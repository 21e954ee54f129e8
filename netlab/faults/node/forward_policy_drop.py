"""Docker drops what a node forwards."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _drop(_: Cluster, state: State, node: Node) -> State:
    return with_rules(state, node.netns, "ip", "filter", "filter forward 0", policy="drop")


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="forward-policy-drop",
    symptom="no Pod of another node reaches the Pods of this node; the node itself reaches them, and routes are right",
    cause="the policy of the chain FORWARD is drop: Docker sets it at its start",
    level=1,
    source="kubernetes/kubernetes#40182",
    look_alikes=("forwarding-off", "forward-reject", "reverse-path-filter"),
    planes=traits.routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_drop),
)
