"""The bridge of a node's Pods keeps the subnet of an earlier life."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Addr, State


def _stay(cluster: Cluster, state: State, node: Node) -> State:
    def fits(addr: Addr) -> bool:
        return (addr.netns, addr.dev) == (node.netns, cluster.plane.bridge) and ":" not in addr.address

    return changed(state, Addr, fits, lambda addr: replace(addr, address="10.199.7.1/24"))


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="bridge-old-subnet",
    symptom="Pods of this node reach each other, and nobody else reaches them; the bridge has an address",
    cause="the bridge keeps the address of the Pod CIDR that the node had before it joined the cluster again",
    level=2,
    source="containernetworking/cni#306",
    look_alikes=("bridge-address-missing",),
    planes=traits.bridged_and_routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_stay),
)
