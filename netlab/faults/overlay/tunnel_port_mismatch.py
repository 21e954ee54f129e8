"""A node's tunnel has another UDP port than the others."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State, Vxlan
from netlab.objects.tunnels import Geneve


def _spoil(_: Cluster, state: State, node: Node) -> State:
    state = changed(
        state, Vxlan, lambda link: link.netns == node.netns, lambda link: replace(link, port=link.port + 10)
    )
    return changed(
        state, Geneve, lambda link: link.netns == node.netns, lambda link: replace(link, port=link.port + 10)
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="tunnel-port-mismatch",
    symptom="Pods of this node and of other nodes do not reach each other; the node answers outer packets with port unreachable",
    cause="the node's tunnel has another UDP port than those of the other nodes: a variable of one agent beats the cluster's setting",
    level=2,
    source="projectcalico/calico#10692",
    look_alikes=("vni-mismatch", "tunnel-port-filtered"),
    planes=traits.ethernet_in_udp,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_spoil),
)
