"""The neighbour entry for another node's tunnel is missing."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, tunnels, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Neigh, State


def _lose(_: Cluster, state: State, node: Node) -> State:
    devices = {link.dev for link in tunnels(state, node)}
    return without(state, Neigh, lambda neigh: neigh.netns == node.netns and neigh.dev in devices)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="vtep-neighbour-missing",
    symptom='Pods of this node reach no Pod of another node: "No route to host" after three seconds',
    cause="the tunnel device has no neighbour entry for the other node's tunnel, and nobody answers its ARP requests",
    level=2,
    source="flannel-io/flannel#654",
    look_alikes=("vtep-neighbour-wrong", "fdb-entry-missing"),
    planes=traits.framed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
