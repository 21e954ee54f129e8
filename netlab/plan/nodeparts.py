"""The objects of nodes without their Pods' and without rules: those by which a node is ready or not."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model import Cluster, Node
from netlab.objects import Floor, Obj, Sysctl
from netlab.plan import racks, underlay
from netlab.plan.dataplanes import dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.desired import Host, namespaces
from netlab.tuples import NamedTuple

#: Ends of the names of sysctls without which a node forwards no packets, or past its rules.
_SYSCTLS = ("ip_forward", "forwarding", "rp_filter", "bridge-nf-call-iptables", "bridge-nf-call-ip6tables")
_MOST = 4000  # of objects by which nodes reach each other: their number grows with the square of that of the nodes
_FLOORS = (Floor.LINK, Floor.PORT, Floor.ADDR, Floor.NEIGH, Floor.ROUTE)


class Parts(NamedTuple):
    """A node's objects: those of its own link to the underlay, and those of the Pods' network."""

    own: tuple[Obj, ...]
    network: tuple[Obj, ...]


def parts(cluster: Cluster, host: Host | None = None) -> dict[str, Parts]:
    """By node.  In a large lab the ways to the other nodes are left out, to bound the cost."""
    plane = dataplane(cluster.dataplane)
    wires = racks if cluster.underlay.racks else underlay
    of: dict[str, tuple[list[Obj], list[Obj]]] = {node.netns: ([], []) for node in cluster.nodes}
    for obj in wires.objects(cluster):
        if obj.netns in of and obj.floor in _FLOORS:
            of[obj.netns][0].append(obj)
    for obj in namespaces(cluster, host or Host()):
        if obj.netns in of and isinstance(obj, Sysctl) and obj.path.endswith(_SYSCTLS):
            of[obj.netns][1].append(obj)
    far = [Far(node, cluster) for node in cluster.nodes]
    whole = 3 * len(far) ** 2 <= _MOST
    for node in cluster.nodes:
        network = of[node.netns][1]
        network += plane.node(node, cluster)
        if whole:
            network += _ways(node, far, cluster)
    return {
        node.name: Parts(tuple(own), tuple(obj for obj in network if isinstance(obj, Sysctl) or obj.floor in _FLOORS))
        for node in cluster.nodes
        for own, network in [of[node.netns]]
    }


def _ways(node: Node, far: list[Far], cluster: Cluster) -> Iterator[Obj]:
    plane = dataplane(cluster.dataplane)
    for there in far:
        if there.node is not node:
            yield from plane.reach(node, there, cluster)
