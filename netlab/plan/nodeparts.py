"""The objects of nodes without which their agents could not work: devices with an address, forwarding, tables.

A route, a neighbour or an attribute that differs is none of these: no agent of a real cluster would see it either.
"""

from __future__ import annotations

from netlab.model import Cluster
from netlab.objects import Addr, Floor, NftTable, Obj, Sysctl
from netlab.plan import racks, underlay
from netlab.plan.dataplanes import of_cluster
from netlab.plan.dataplanes.far import Far
from netlab.plan.desired import Host, namespaces
from netlab.plan.services import TABLE
from netlab.tuples import NamedTuple

_FORWARDING = ("ip_forward", "forwarding")  # ends of names of sysctls
_FAMILIES = {"IPv4": "ip", "IPv6": "ip6"}


class Parts(NamedTuple):
    """A node's objects: those of its own link to the underlay, of the Pods' network, and of kube-proxy."""

    own: tuple[Obj, ...]
    network: tuple[Obj, ...]
    proxy: tuple[Obj, ...]


def parts(cluster: Cluster) -> dict[str, Parts]:
    """By node."""
    plane = of_cluster(cluster)
    wires = racks if cluster.underlay.racks else underlay
    own: dict[str, list[Obj]] = {node.netns: [] for node in cluster.nodes}
    network: dict[str, list[Obj]] = {node.netns: [*plane.node(node, cluster)] for node in cluster.nodes}
    for obj in wires.objects(cluster):
        if obj.netns in own:
            own[obj.netns].append(obj)
    for obj in namespaces(cluster, Host()):
        if obj.netns in network:
            network[obj.netns].append(obj)
    far = [Far(node, cluster) for node in cluster.nodes]
    # Geneve has a device for each other node. Without such devices, nothing is made for each two of many nodes.
    if far[1:] and any(map(_needed, plane.reach(far[0].node, far[1], cluster))):
        for here in far:
            for there in far:
                network[here.node.netns] += () if there is here else plane.reach(here.node, there, cluster)
    families = [_FAMILIES[family] for family in cluster.families] if cluster.services else []
    return {
        node.name: Parts(
            tuple(filter(_needed, own[node.netns])),
            tuple(filter(_needed, network[node.netns])),
            tuple(NftTable(node.netns, family, TABLE) for family in families),
        )
        for node in cluster.nodes
    }


def _needed(obj: Obj) -> bool:
    if isinstance(obj, Sysctl):
        return obj.path.endswith(_FORWARDING)
    return obj.floor is Floor.LINK or isinstance(obj, (Addr, NftTable))
