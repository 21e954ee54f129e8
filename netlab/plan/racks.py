"""The routed underlay: a segment and a top-of-rack router a rack, and a spine that joins the routers.

A router is a namespace that forwards. The rack's segment is the bridge br0 in it, and ``uplink`` leads to the spine.
The spine (the lab's underlay namespace) has a link a rack, named for it. Routers have routes to the racks' segments.
With ``learnsPodRoutes`` they also have routes to the Pods' networks: static routes marked ``proto bird``, as BGP would
bring them.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab import names
from netlab.model import Cluster
from netlab.objects import Addr, Obj, Route, Veth, Why
from netlab.objects.links import End
from netlab.plan.underlay import addrgen, default_routes, no_way, segment

UPLINK, UPLINK_INDEX = "uplink", 30000
FIRST_DOWNLINK_INDEX = 30000  # beyond the ports of nodes: indexes pair the dumps of two namespaces
_BIRD = 12


def objects(cluster: Cluster) -> Iterator[Obj]:
    """All racks, the links to the spine, the spine's routes."""
    under, gen = cluster.underlay, addrgen(cluster)
    yield from no_way(under.netns, Why("the underlay", under.mark))
    for rack in under.racks:
        why = Why(f"rack {rack.name}", under.mark)
        nodes = [node for node in cluster.nodes if node.rack == rack.name]
        mac = names.mac(names.UNDERLAY, rack.number, 1)
        yield from segment(rack.netns, nodes, cluster, mac, why)
        down = names.port_name(rack.name)
        yield Veth(
            rack.netns,
            End(
                rack.netns,
                UPLINK,
                names.mac(names.UNDERLAY, rack.number, 2),
                under.mtu,
                UPLINK_INDEX + rack.number,
                "",
                gen,
                cluster.offload,
            ),
            End(
                under.netns,
                down,
                names.mac(names.UNDERLAY, rack.number, 3),
                under.mtu,
                FIRST_DOWNLINK_INDEX + rack.number,
                "",
                gen,
                cluster.offload,
            ),
            why=why,
        )
        for mine, spine in rack.uplinks:
            yield Addr(rack.netns, UPLINK, str(mine), why=why)
            yield Addr(under.netns, down, str(spine), why=why)
        yield from no_way(rack.netns, why)
        yield from default_routes(rack.netns, (spine.ip for _, spine in rack.uplinks), UPLINK, why)
        for cidr, (mine, _) in zip(rack.cidrs, rack.uplinks, strict=True):
            yield Route(under.netns, str(cidr), via=str(mine.ip), dev=down, why=why)
        if under.learns_pod_routes:
            for node in nodes:
                learned = Why(f"routers learn the Pods of node {node.name}", under.mark)
                for index, cidr in enumerate(node.pod_cidrs):
                    hop, router = str(node.addresses[index].ip), str(rack.uplinks[index][0].ip)
                    yield Route(rack.netns, str(cidr), via=hop, dev="br0", proto=_BIRD, why=learned)
                    yield Route(under.netns, str(cidr), via=router, dev=down, proto=_BIRD, why=learned)
