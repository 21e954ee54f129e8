"""A firewall drops IP protocol 4."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _filter(_: Cluster, state: State, node: Node) -> State:
    return with_rules(state, node.netns, "ip", "firewall", "filter input 0", "ip protocol 4 counter drop")


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="ip-in-ip-filtered",
    symptom="Pods of other nodes do not reach the Pods of this node, though TCP and UDP pass between the nodes",
    cause="a firewall lets TCP, UDP and ICMP pass and drops IP protocol 4, in which the tunnel travels",
    level=2,
    source="projectcalico/calico#2879",
    planes=traits.ipip,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_filter),
)
