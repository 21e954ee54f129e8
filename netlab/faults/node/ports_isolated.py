"""The ports of a node's bridge are isolated."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, node_veth
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, inside, nodes
from netlab.model import Cluster, Node
from netlab.objects import Port, State


def _isolate(cluster: Cluster, state: State, node: Node) -> State:
    links = {veth.name for pod in cluster.pods_of(node) if (veth := node_veth(state, pod))}

    def fits(port: Port) -> bool:
        return port.netns == node.netns and port.dev in links

    return changed(state, Port, fits, lambda port: replace(port, isolated=True))


def _control(cluster: Cluster, at: str) -> Control | None:
    return inside(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="ports-isolated",
    symptom="Pods of this node do not reach each other; Pods of other nodes reach them",
    cause="the Pods' ports of the bridge are isolated from each other",
    level=2,
    source="bridge(8), isolated",
    look_alikes=("bridged-drop",),
    planes=traits.bridged,
    requires="two Pods on one node",
    places=nodes,
    control=_control,
    on_state=at_node(_isolate),
)
