"""``host-gw``: cni0, and a route by the other node's address for each of its Pod CIDRs (flannel's backend of that name).

No encapsulation: the nodes must share a segment, since the other node is the next hop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Node, Pod
from netlab.objects import Obj, Route
from netlab.plan.dataplanes import cni_bridge
from netlab.plan.underlay import on_link
from netlab.plan.why import pair_why


class HostGw:
    """Direct routing: the network between the nodes carries the Pods' own packets."""

    name = "host-gw"
    summary = "cni0 and a static route by node address for each other node's Pods; no encapsulation"
    bridged = True
    needs: tuple[str, ...] = ("veth", "bridge")

    def overhead(self, cluster: Cluster) -> int:
        """No encapsulation."""
        return 0

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0, and masquerading where there is an outside."""
        yield from cni_bridge.bridge(here, cluster, cluster.mtu)
        yield from cni_bridge.masquerading(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """A veth pair to cni0."""
        return cni_bridge.attach(pod, here, cluster, cluster.mtu)

    def reach(self, here: Node, there: Node, cluster: Cluster) -> Iterator[Obj]:
        """``10.244.2.0/24 via 172.18.0.3 dev eth0``; nothing across racks: that next hop is not on the link."""
        if not on_link(here, there):
            return
        for cidr, address in zip(there.pod_cidrs, there.addresses, strict=True):
            yield Route(here.netns, str(cidr), via=str(address.ip), dev="eth0", why=pair_why(here, there))
