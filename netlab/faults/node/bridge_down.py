"""The bridge of a node's Pods is down."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, down
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, inside, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _down(cluster: Cluster, state: State, node: Node) -> State:
    return down(state, node.netns, cluster.plane.bridge)


def _control(cluster: Cluster, at: str) -> Control | None:
    return inside(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="bridge-down",
    symptom="Pods of this node reach nobody, not even each other",
    cause="the bridge of the node's Pods is down",
    level=1,
    source="kubernetes/kubernetes#67183",
    look_alikes=("ports-isolated", "bridge-address-missing"),
    planes=traits.bridged,
    requires="two Pods on one node",
    places=nodes,
    control=_control,
    on_state=at_node(_down),
)
