"""A node has no default route."""

from __future__ import annotations

from netlab.faults.edit import at_node, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, nodes, to_outside
from netlab.model import Cluster, Node
from netlab.objects import Route, State


def _lose(_: Cluster, state: State, node: Node) -> State:
    return without(state, Route, lambda route: route.netns == node.netns and route.dst == "0.0.0.0/0")


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_outside(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="default-route-missing",
    symptom="Pods of this node reach other Pods, and nothing outside the cluster",
    cause="the node has no default route: DHCP did not set it, or somebody deleted it",
    level=1,
    source="projectcalico/calico#7866",
    look_alikes=("masquerade-missing",),
    requires="a host outside that serves a port",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
