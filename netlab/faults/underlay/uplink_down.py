"""The link of a node to the network is down."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State, Veth


def _unplug(_: Cluster, state: State, node: Node) -> State:
    return changed(
        state,
        Veth,
        lambda veth: (veth.netns, veth.end.name) == (node.netns, "eth0"),
        lambda veth: replace(veth, peer=replace(veth.peer, up=False)),
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="uplink-down",
    symptom="nothing outside the node reaches it or its Pods; its Pods reach each other",
    cause="the other end of the node's eth0 is down: a pulled cable, or a port that was shut (NO-CARRIER)",
    level=1,
    source="ip-link(8), NO-CARRIER",
    look_alikes=("private-vlan",),
    planes=traits.crossing,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_unplug),
)
