"""Two nodes have the same Pod CIDR."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, is_to_others, without
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Addr, Route, State


def _double(cluster: Cluster, state: State, node: Node) -> State:
    bridge = cluster.plane.bridge
    other = next((each for each in cluster.nodes if each is not node), None)
    gateway = next((each for each in other.gateways if each.version == 4), None) if other else None
    if gateway is None:
        return state
    state = without(state, Route, is_to_others(cluster, node))
    return state.replace(Addr(node.netns, bridge, str(gateway), why=WHY))


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="same-pod-cidr",
    symptom='Pods of this node do not reach Pods of another node: "No route to host" after seconds',
    cause="the bridge of the node has the other node's Pod CIDR too: two nodes have one lease, and those Pods seem to be local",
    level=2,
    source="flannel-io/flannel#1289",
    look_alikes=("route-to-peer-missing",),
    planes=traits.bridged_and_routed_apart,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_double),
)
