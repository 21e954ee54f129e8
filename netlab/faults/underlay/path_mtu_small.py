"""The path between the nodes carries smaller packets than it says."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.names import port_name
from netlab.objects import State


def _shrink(cluster: Cluster, state: State, node: Node) -> State:
    rule = f'oifname "{port_name(node.name)}" meta length > {cluster.mtu - 150} counter drop'
    return with_rules(state, cluster.underlay.netns, "bridge", "path", "filter forward 0", rule)


def _places(cluster: Cluster, state: State) -> list[str]:
    return [] if cluster.underlay.racks else nodes(cluster, state)


def _control(cluster: Cluster, at: str) -> Control | None:
    small = across(cluster, target=at)
    return small._replace(size=60_000) if small else None


FAULT = Fault(
    id="path-mtu-small",
    symptom="ping, connections and small requests to Pods of this node pass; large ones hang",
    cause="a device between the nodes carries smaller packets than the Pods' MTU assumes, and drops the rest in silence",
    level=3,
    source="projectcalico/calicoctl#1425",
    look_alikes=("fragmentation-needed-filtered", "bandwidth-tiny"),
    planes=traits.crossing,
    requires="Pods on two nodes that reach each other, on a flat underlay",
    places=_places,
    control=_control,
    on_state=at_node(_shrink),
)
