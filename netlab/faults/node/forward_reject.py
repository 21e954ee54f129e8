"""firewalld rejects what a node forwards."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _reject(_: Cluster, state: State, node: Node) -> State:
    rule = "ct state new counter reject with icmp type host-prohibited"
    return with_rules(state, node.netns, "ip", "firewalld", "filter forward 10", rule)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(UNREACHABLE,))


FAULT = Fault(
    id="forward-reject",
    symptom='connections to Pods of this node end at once with "No route to host", though all routes are right',
    cause="firewalld rejects new connections that the node forwards (icmp host-prohibited), behind the rules of the CNI",
    level=2,
    source="kubernetes/kubeadm#139",
    look_alikes=("forward-policy-drop",),
    planes=traits.routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_reject),
)
