"""A node does not forward IPv6."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, set_sysctl
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across6, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _stop(_: Cluster, state: State, node: Node) -> State:
    return set_sysctl(state, node.netns, net__ipv6__conf__all__forwarding="0")


def _control(cluster: Cluster, at: str) -> Control | None:
    return across6(cluster, target=at)


FAULT = Fault(
    id="forwarding6-off",
    symptom="Pods of other nodes reach the Pods of this node by IPv4, and not by IPv6",
    cause="net.ipv6.conf.all.forwarding is 0 on the node, while IPv4 is forwarded",
    level=2,
    source="kubermatic/operating-system-manager#298",
    look_alikes=("forward6-policy-drop", "route6-to-peer-missing"),
    planes=traits.dual,
    requires="Pods on two nodes that reach each other by IPv6",
    places=nodes,
    control=_control,
    on_state=at_node(_stop),
)
