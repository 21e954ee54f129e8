"""A node has another node's old MAC address."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Neigh, State


def _pin(cluster: Cluster, state: State, node: Node) -> State:
    others = [
        Neigh(node.netns, "eth0", str(address.ip), "02:00:00:00:be:ef", why=WHY)
        for each in cluster.nodes
        if each is not node and each.rack == node.rack
        for address in each.addresses
    ]
    return state.replace(*others)


def _places(cluster: Cluster, state: State) -> list[str]:
    return [] if cluster.underlay.racks else nodes(cluster, state)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="stale-node-neighbour",
    symptom="this node reaches no other node by its address; its packets leave and nobody takes them",
    cause="a permanent neighbour entry on eth0 has a MAC address that no node has: the other nodes' network cards were replaced",
    level=2,
    source="k3s-io/k3s#9957",
    look_alikes=("uplink-down", "vtep-mac-stale"),
    planes=traits.crossing,
    requires="Pods on two nodes that reach each other, on a flat underlay",
    places=_places,
    control=_control,
    on_state=at_node(_pin),
)
