"""A node does not forward IPv4."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, set_sysctl
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _stop(_: Cluster, state: State, node: Node) -> State:
    return set_sysctl(state, node.netns, net__ipv4__ip_forward="0")


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="forwarding-off",
    symptom="no Pod of another node reaches the Pods of this node; the node itself reaches them",
    cause="net.ipv4.ip_forward is 0 on the node: a restart of the network, or a hardening script, has set it",
    level=1,
    source="openshift/origin#9931",
    look_alikes=("forward-policy-drop", "reverse-path-filter"),
    planes=traits.routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_stop),
)
