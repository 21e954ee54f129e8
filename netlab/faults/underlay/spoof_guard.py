"""The network drops packets whose source is no node."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.names import port_name
from netlab.objects import State


def _guard(cluster: Cluster, state: State, node: Node) -> State:
    own = next(str(address.ip) for address in node.addresses if address.version == 4)
    port = port_name(node.name)
    rule = f'iifname "{port}" ip saddr != {own} counter drop'
    return with_rules(state, cluster.underlay.netns, "bridge", f"fabric-{node.name}", "filter prerouting 0", rule)


def _places(cluster: Cluster, state: State) -> list[str]:
    return [] if cluster.underlay.racks or "IPv4" not in cluster.families else nodes(cluster, state)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at)


FAULT = Fault(
    id="spoof-guard",
    symptom="nodes reach each other, and Pods of different nodes do not: their packets leave the node and never arrive",
    cause="the network drops packets from the node's port whose source is not the node's own address (source check of a cloud)",
    level=2,
    source="projectcalico/calico#1073",
    planes=traits.direct,
    requires="Pods on two nodes that reach each other, on a flat underlay",
    places=_places,
    control=_control,
    on_state=at_node(_guard),
)
