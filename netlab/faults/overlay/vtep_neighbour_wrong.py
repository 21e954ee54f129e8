"""The neighbour entry for another node's tunnel has a wrong MAC."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, tunnels
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Neigh, State


def _spoil(_: Cluster, state: State, node: Node) -> State:
    devices = {link.dev for link in tunnels(state, node)}
    return changed(
        state,
        Neigh,
        lambda neigh: neigh.netns == node.netns and neigh.dev in devices,
        lambda neigh: replace(neigh, mac="02:00:00:00:de:ad"),
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="vtep-neighbour-wrong",
    symptom="Pods of this node reach no Pod of another node, and no error comes",
    cause="the neighbour entry of the other node's tunnel has a MAC address that is not the tunnel's",
    level=3,
    source="flannel-io/flannel#533",
    look_alikes=("vtep-neighbour-missing", "fdb-entry-missing"),
    planes=traits.framed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_spoil),
)
