"""A node drops the second packet of TCP handshakes."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _drop(_: Cluster, state: State, node: Node) -> State:
    rule = "meta l4proto tcp tcp flags & (syn | ack) == syn | ack counter drop"
    return with_rules(state, node.netns, "ip", "ids", "filter forward -10", rule)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="syn-ack-dropped",
    symptom="ping and UDP pass to Pods of this node, and no TCP connection comes about; requests arrive and are answered",
    cause="a filter of the node drops the second packet of each handshake (SYN-ACK) that it forwards",
    level=3,
    source="nft(8), tcp flags",
    look_alikes=("forward-policy-drop",),
    planes=traits.routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_drop),
)
