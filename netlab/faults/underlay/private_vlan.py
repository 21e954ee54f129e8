"""The switch isolates the ports of the nodes from each other."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.names import port_name
from netlab.objects import Port, State


def _isolate(cluster: Cluster, state: State, _: Node) -> State:
    ports = {port_name(node.name) for node in cluster.nodes}

    def fits(port: Port) -> bool:
        return port.netns == cluster.underlay.netns and port.dev in ports

    return changed(state, Port, fits, lambda port: replace(port, isolated=True))


def _places(cluster: Cluster, state: State) -> list[str]:
    return [] if cluster.underlay.racks else nodes(cluster, state)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="private-vlan",
    symptom="no node reaches another one, though all reach the router and the world",
    cause="the ports of the nodes are isolated from each other on the switch (a private VLAN, client isolation)",
    level=2,
    source="bridge(8), isolated",
    look_alikes=("uplink-down",),
    planes=traits.crossing,
    requires="Pods on two nodes that reach each other, on a flat underlay",
    places=_places,
    control=_control,
    on_state=at_node(_isolate),
)
