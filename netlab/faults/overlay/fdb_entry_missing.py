"""The forwarding entry for another node's tunnel is missing."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, tunnels, without
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Fdb, State


def _lose(_: Cluster, state: State, node: Node) -> State:
    devices = {link.dev for link in tunnels(state, node)}
    return without(state, Fdb, lambda fdb: fdb.netns == node.netns and fdb.dev in devices)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="fdb-entry-missing",
    symptom="Pods of this node reach no Pod of another node; nothing leaves eth0",
    cause="the VXLAN device has no forwarding entry for the MAC address of the other node: it does not know to which node to send",
    level=2,
    source="flannel-io/flannel#636",
    look_alikes=("fdb-entry-wrong", "vtep-neighbour-wrong"),
    planes=traits.static_vxlan,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
