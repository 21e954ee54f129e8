"""A filter drops what a node forwards by IPv6."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across6, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _drop(_: Cluster, state: State, node: Node) -> State:
    return with_rules(state, node.netns, "ip6", "filter", "filter forward 0", policy="drop")


def _control(cluster: Cluster, at: str) -> Control | None:
    return across6(cluster, target=at)


FAULT = Fault(
    id="forward6-policy-drop",
    symptom="Pods of other nodes reach the Pods of this node by IPv4, and not by IPv6",
    cause="the policy of the IPv6 chain FORWARD is drop: a firewall was told of IPv4 alone",
    level=2,
    source="moby/moby#28257",
    look_alikes=("forwarding6-off", "route6-to-peer-missing"),
    planes=traits.dual,
    requires="Pods on two nodes that reach each other by IPv6",
    places=nodes,
    control=_control,
    on_state=at_node(_drop),
)
