"""A node's IPv6 default route has expired."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, nodes, to_outside
from netlab.model import Cluster, Node
from netlab.objects import Route, State


def _expire(_: Cluster, state: State, node: Node) -> State:
    return without(state, Route, lambda route: route.netns == node.netns and route.dst == "::/0")


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_outside(cluster, at, (TIMEOUT, UNREACHABLE), version=6)


FAULT = Fault(
    id="default-route6-expired",
    symptom="minutes after the node joined, its Pods reach nothing outside by IPv6; by IPv4, and inside, everything works",
    cause="a node that forwards ignores router advertisements (accept_ra is 1 and not 2), so its IPv6 default route expired",
    level=2,
    source="siderolabs/talos#3841",
    look_alikes=("default-route-missing", "forwarding6-off"),
    planes=traits.dual,
    requires="a host outside that serves a port by IPv6",
    places=nodes,
    control=_control,
    on_state=at_node(_expire),
)
