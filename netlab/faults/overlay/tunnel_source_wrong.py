"""A tunnel device takes an address that is not the node's."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State, Vxlan
from netlab.objects.tunnels import Ipip
from netlab.planes import Plane


def _spoil(_: Cluster, state: State, node: Node) -> State:
    def fits(link: Vxlan | Ipip) -> bool:
        return link.netns == node.netns and "." in link.local

    state = changed(state, Vxlan, fits, lambda link: replace(link, local="172.17.0.1"))
    return changed(state, Ipip, fits, lambda link: replace(link, local="172.17.0.1"))


def _has_local(plane: Plane) -> bool:
    return traits.static_vxlan(plane) or (traits.ipip(plane) and bool(plane.bridge))


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="tunnel-source-wrong",
    symptom="Pods of this node reach no Pod of another node; nothing leaves eth0, and all tables look right",
    cause="the tunnel device sends from the address of docker0, which its agent took for the address of the node",
    level=3,
    source="projectcalico/calico#3194",
    look_alikes=("fdb-entry-wrong", "vni-mismatch"),
    planes=_has_local,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_spoil),
)
