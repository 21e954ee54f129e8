"""The bridge of a node's Pods has no address."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Addr, State


def _lose(cluster: Cluster, state: State, node: Node) -> State:
    return without(
        state,
        Addr,
        lambda addr: (addr.netns, addr.dev) == (node.netns, cluster.plane.bridge) and ":" not in addr.address,
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="bridge-address-missing",
    symptom="Pods of this node reach each other, and nobody else reaches them",
    cause="the bridge came up without its address: no interface has the Pods' gateway, and no route leads to the Pods",
    level=1,
    source="kubernetes/kubernetes#67183",
    look_alikes=("bridge-old-subnet",),
    planes=traits.bridged_and_routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
