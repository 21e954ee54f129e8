"""A filter drops what passes between two Pods of a bridge."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import inside, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _drop(cluster: Cluster, state: State, node: Node) -> State:
    rule = f'iifname "{cluster.plane.bridge}" oifname "{cluster.plane.bridge}" counter drop'
    return with_rules(state, node.netns, "ip", "filter", "filter forward 0", rule)


def _control(cluster: Cluster, at: str) -> Control | None:
    return inside(cluster, at)


FAULT = Fault(
    id="bridged-drop",
    symptom="Pods of this node do not reach each other, though ARP resolves; Pods of other nodes reach them",
    cause="br_netfilter shows rules what passes inside the bridge, and a rule of another program drops what enters and leaves by it",
    level=2,
    source="cloudnativelabs/kube-router#151",
    look_alikes=("ports-isolated",),
    planes=traits.bridged,
    needs=("br_netfilter",),
    requires="two Pods on one node",
    places=nodes,
    control=_control,
    on_state=at_node(_drop),
)
