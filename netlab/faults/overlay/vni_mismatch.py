"""A node's tunnel has another network identifier than the others."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State, Vxlan
from netlab.objects.tunnels import Geneve


def _spoil(_: Cluster, state: State, node: Node) -> State:
    state = changed(state, Vxlan, lambda link: link.netns == node.netns, lambda link: replace(link, vni=link.vni + 1))
    return changed(state, Geneve, lambda link: link.netns == node.netns, lambda link: replace(link, vni=link.vni + 1))


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="vni-mismatch",
    symptom="Pods of this node and of other nodes do not reach each other; outer packets arrive, and no ICMP error comes",
    cause="the node's tunnel has another VNI than those of the other nodes",
    level=2,
    source="projectcalico/calico#10692",
    look_alikes=("tunnel-port-mismatch", "tunnel-port-filtered"),
    planes=traits.ethernet_in_udp,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_spoil),
)
