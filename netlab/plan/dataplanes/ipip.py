"""``ipip``: what flanneld makes with the backend ipip: cni0, flannel.ipip, an ``onlink`` route a node.

An outer IPv4 header is all that is put around a packet: no UDP, no Ethernet header, 20 bytes (pkg/backend/ipip).  The
device has no remote: the next hop of a route, a node's address, is the outer target.  The device carries IPv4 alone.
The kernel's own fallback device tunl0 appears beside it in every namespace as soon as the module is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Obj, Route
from netlab.objects.tunnels import Ipip
from netlab.plan.dataplanes import cni_bridge, flannel_vxlan, tunnels
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.underlay import addrgen
from netlab.plan.why import node_why, pair_why

DEVICE = "flannel.ipip"


class IpipPlane:
    """flannel with its backend ipip."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0, the device, flannel's rules."""
        why, mtu = node_why(here), cluster.pod_mtu
        yield from cni_bridge.bridge(here, cluster)
        local = str(here.addresses[0].ip)
        common = (here.netns, DEVICE, "", mtu, tunnels.INDEX, addrgen(cluster), cluster.offload)
        yield Ipip(*common, local=local, why=why)
        for cidr in here.pod_cidrs:
            yield Addr(here.netns, DEVICE, f"{cidr.network_address}/{cidr.max_prefixlen}", why=why)
        yield from flannel_vxlan.rules(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """As every backend of flannel."""
        return flannel_vxlan.PLANE.attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """``10.244.2.0/24 via 172.18.0.3 dev flannel.ipip onlink``."""
        for cidr, address in zip(there.cidrs, there.addresses, strict=True):
            yield Route(here.netns, cidr, via=address, dev=DEVICE, onlink=True, why=pair_why(here, there.node))


PLANE: Dataplane = IpipPlane()
