"""A node's tunnel device is down."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, down, tunnels
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _down(_: Cluster, state: State, node: Node) -> State:
    for link in tunnels(state, node):
        state = down(state, node.netns, link.dev)
    return state


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="tunnel-down",
    symptom="Pods of this node reach no Pod of another node, and none reaches them",
    cause="the tunnel device of the node is down, and its routes are gone with it",
    level=1,
    source="flannel-io/flannel#396",
    look_alikes=("route-to-peer-missing",),
    planes=traits.tunnelled,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_down),
)
