"""An address outside lies in what the nodes take for Pods."""

from __future__ import annotations

from netlab.faults.edit import at_node
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, nodes, to_outside
from netlab.model import Cluster, Node
from netlab.objects import Route, State


def _overlap(cluster: Cluster, state: State, node: Node) -> State:
    host = next(iter(cluster.external), None)
    address = next((each.ip for each in host.addresses if each.version == 4), None) if host else None
    if address is None:
        return state
    return state.replace(Route(node.netns, f"{address}/32", type="blackhole", why=WHY))


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_outside(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="outside-taken-for-pods",
    symptom="Pods of this node reach everything outside but one network",
    cause="the network outside overlaps with a range of the cluster: the node has a blackhole route for it, as for an own block",
    level=2,
    source="projectcalico/calico#2252",
    look_alikes=("masquerade-missing", "default-route-missing"),
    requires="a host outside that serves a port",
    places=nodes,
    control=_control,
    on_state=at_node(_overlap),
)
