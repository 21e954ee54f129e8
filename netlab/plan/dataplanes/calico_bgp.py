"""``calico-bgp``: Calico without encapsulation; every node has routes to the blocks of the others, as from BIRD.

There is no BGP daemon: the routes are static, marked ``proto bird``. In one rack the next hop is the other node. Across
racks BIRD resolves it over the default route, so the router is the next hop, and needs routes to the Pods itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Node, Pod
from netlab.objects import Obj, Route
from netlab.plan.dataplanes import calico_wiring
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.underlay import next_hop
from netlab.plan.why import pair_why

BIRD = 12  # rtnetlink's number for routes of BIRD


class CalicoBgp:
    """Calico, BGP full mesh, no IPIP and no VXLAN."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """The node's own blocks as blackholes, and masquerading for what leaves the pool."""
        yield from calico_wiring.aggregates(here, cluster, BIRD)
        yield from calico_wiring.nat_outgoing(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """A cali veth and a host route."""
        return calico_wiring.attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """``10.244.2.0/26 via 172.18.0.3 dev eth0 proto bird``."""
        why = pair_why(here, there.node)
        for block, version in there.blocks:
            via = next_hop(here, there.node, version, cluster)
            yield Route(here.netns, block, via=via, dev="eth0", proto=BIRD, why=why)


PLANE: Dataplane = CalicoBgp()
