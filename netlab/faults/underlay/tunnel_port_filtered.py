"""A host firewall drops the tunnel's UDP port."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _filter(cluster: Cluster, state: State, node: Node) -> State:
    port = cluster.plane.udp_port
    rule = f"udp dport {{ {port}, {port + 1} }} counter drop"
    return with_rules(state, node.netns, "inet", "firewall", "filter input 0", rule)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="tunnel-port-filtered",
    symptom="Pods of other nodes do not reach the Pods of this node; the nodes ping each other",
    cause="the node's firewall drops the UDP port of the tunnel: outer packets arrive at eth0 and none leaves the tunnel device",
    level=1,
    source="k3s-io/k3s#2935",
    look_alikes=("fabric-filters-tunnel", "tunnel-port-mismatch", "vni-mismatch"),
    planes=traits.in_udp,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_filter),
)
