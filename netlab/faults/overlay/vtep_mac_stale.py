"""A node's tunnel device has another MAC address than the others know."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State, Vxlan
from netlab.objects.tunnels import Geneve


def _renew(_: Cluster, state: State, node: Node) -> State:
    for kind in (Vxlan, Geneve):
        state = changed(
            state, kind, lambda link: link.netns == node.netns, lambda link: replace(link, mac=link.mac[:-2] + "ff")
        )
    return state


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at)


FAULT = Fault(
    id="vtep-mac-stale",
    symptom="Pods of other nodes do not reach this node; the inner packets arrive at its tunnel device and go no further",
    cause="the tunnel device has a new MAC address after a reboot, and the other nodes still write the old one",
    level=3,
    source="k3s-io/k3s#9957",
    look_alikes=("reverse-path-filter", "forwarding-off", "forward-policy-drop"),
    planes=traits.framed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_renew),
)
