"""The route to another node's Pods is missing."""

from __future__ import annotations

from netlab.faults.edit import without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, node_of, nodes
from netlab.model import Cluster
from netlab.objects import Route, State


def _lose(cluster: Cluster, state: State, at: str) -> State:
    here = node_of(cluster, at)
    others = {str(cidr) for node in cluster.nodes if node is not here for cidr in node.pod_cidrs}
    return without(state, Route, lambda route: here is not None and route.netns == here.netns and route.dst in others)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="route-to-peer-missing",
    symptom="Pods of this node reach each other, and no Pod of another node",
    cause="the node has no route to the other nodes' Pods: the agent that makes it lost it, or never ran",
    level=1,
    source="kubernetes/kubernetes#9580",
    planes=lambda plane: plane.crosses_nodes and not plane.flat and not plane.whole_network,
    requires="Pods on two nodes",
    places=nodes,
    control=_control,
    on_state=_lose,
)
