"""The route to another node's Pods has a next hop that is not on the node's own segment."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, is_to_others
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Route, State
from netlab.planes import Plane

#: What the other nodes have on their second interfaces, which lead to another segment.
_SECOND = ip_address("192.168.60.0")


def _elsewhere(cluster: Cluster, state: State, node: Node) -> State:
    numbers = {str(cidr): other.number for other in cluster.nodes for cidr in other.pod_cidrs}

    def moved(route: Route) -> Route:
        return replace(route, via=str(_SECOND + numbers.get(route.dst, 1) + 10), dev="eth0", onlink=True)

    return changed(state, Route, is_to_others(cluster, node), moved)


def _direct(plane: Plane) -> bool:
    return traits.direct(plane) and traits.routed_apart(plane)


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="next-hop-of-other-network",
    symptom="nodes reach each other, and Pods of this node reach no Pod of another node: No route to host after seconds",
    cause="the nodes announced addresses of their second interfaces, and direct routes lead to a network that no segment here has",
    level=2,
    source="projectcalico/calico#2879",
    look_alikes=("route-by-the-router", "stale-node-neighbour"),
    planes=_direct,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_elsewhere),
)
