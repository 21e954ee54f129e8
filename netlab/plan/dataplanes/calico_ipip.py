"""``calico-ipip``: Calico with IPIP always, the mode of its manifest's default pool: an ``onlink`` route a block by tunl0.

tunl0 is the kernel's own fallback device: it appears in every namespace as soon as the module is loaded, and takes what
no other IPIP device takes.  The next hop of a route, a node's address, is the outer target.  BIRD owns the routes, as
before Calico 3.33 (since then Felix, ``proto 80``).  The device carries IPv4 alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Obj, Route
from netlab.objects.tunnels import Ipip
from netlab.plan.dataplanes import calico_bgp
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import node_why, pair_why

DEVICE = "tunl0"


class CalicoIpip:
    """Calico, IPIP always."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """The device with its address, and what a node without encapsulation has."""
        why = node_why(here)
        common = (here.netns, DEVICE, "", cluster.pod_mtu, 0, "none", cluster.offload)
        yield Ipip(*common, local="any", options="nopmtudisc", why=why)
        for cidr in here.pod_cidrs:
            yield Addr(here.netns, DEVICE, f"{cidr.network_address}/{cidr.max_prefixlen}", why=why)
        yield from calico_bgp.PLANE.node(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """As all of Calico's modes."""
        return calico_bgp.PLANE.attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """``10.244.2.0/26 via 172.18.0.3 dev tunl0 proto bird onlink``."""
        why = pair_why(here, there.node)
        for block, _ in there.blocks:
            yield Route(
                here.netns, block, via=there.addresses[0], dev=DEVICE, proto=calico_bgp.BIRD, onlink=True, why=why
            )


PLANE: Dataplane = CalicoIpip()
