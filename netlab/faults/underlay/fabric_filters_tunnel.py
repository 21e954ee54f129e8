"""The network between the nodes drops the tunnel's UDP port."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _filter(cluster: Cluster, state: State, node: Node) -> State:
    port = cluster.plane.udp_port
    rule = f"meta l4proto udp udp dport {{ {port}, {port + 1} }} counter drop"
    return with_rules(state, cluster.underlay.netns, "bridge", "fabric", "filter forward 0", rule)


def _places(cluster: Cluster, state: State) -> list[str]:
    return [] if cluster.underlay.racks else nodes(cluster, state)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="fabric-filters-tunnel",
    symptom="Pods of different nodes do not reach each other; the nodes ping each other, and both send",
    cause="the network between the nodes (a security group, a hypervisor) drops the UDP port of the tunnel",
    level=2,
    source="flannel-io/flannel#2388",
    look_alikes=("tunnel-port-filtered",),
    planes=traits.in_udp,
    requires="Pods on two nodes that reach each other, on a flat underlay",
    places=_places,
    control=_control,
    on_state=at_node(_filter),
)
