"""A WireGuard peer is allowed other networks than its Pods'."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State
from netlab.objects.tunnels import WgPeer


def _spoil(_: Cluster, state: State, node: Node) -> State:
    def fits(peer: WgPeer) -> bool:
        return peer.netns == node.netns and "." in peer.allowed[0]

    return changed(state, WgPeer, fits, lambda peer: replace(peer, allowed=("10.244.77.0/24",)))


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="wireguard-networks-wrong",
    symptom="Pods of this node and of other nodes do not reach each other, though the keys are right",
    cause="the allowed networks of the peer are not those of the other node's Pods: packets to them have no peer, and theirs are dropped",
    level=2,
    source="wg(8), allowed-ips",
    look_alikes=("wireguard-peer-missing",),
    planes=traits.wireguard,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_spoil),
)
