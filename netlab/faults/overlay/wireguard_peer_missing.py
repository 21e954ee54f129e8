"""A node does not know another node's key."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State
from netlab.objects.tunnels import WgPeer


def _lose(_: Cluster, state: State, node: Node) -> State:
    return without(state, WgPeer, lambda peer: peer.netns == node.netns)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="wireguard-peer-missing",
    symptom='Pods of this node reach no Pod of another node: "Required key not available"',
    cause="the WireGuard device of the node has no peer for the other node",
    level=1,
    source="wg(8), peer",
    look_alikes=("wireguard-networks-wrong",),
    planes=traits.wireguard,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
