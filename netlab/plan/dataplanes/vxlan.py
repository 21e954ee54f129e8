"""``vxlan``: cni0, and one VXLAN device a node with everything on it static.

Device vxlan0, VNI 1, UDP 4789 (IANA's), ``nolearning``; its address is the Pod CIDR's network address as a /32, which
is the source of what the node itself sends to remote Pods.  For each other node, in flannel's order: a permanent
neighbour (the remote VTEP's address has this MAC), a permanent forwarding entry (that MAC is behind that node), and a
route with ``onlink``.  One device carries both families; its outer packets are of the lab's first family.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab import names
from netlab.model import Cluster, Network, Node, Pod
from netlab.objects import Addr, Fdb, Neigh, Obj, Route
from netlab.plan.dataplanes import cni_bridge, tunnels
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import node_why, pair_why

DEVICE, VNI = "vxlan0", 1


def vtep_address(cidr: Network) -> str:
    """The VTEP's own inner address: the Pod CIDR's network address, as a host address."""
    return f"{cidr.network_address}/{cidr.max_prefixlen}"


def tunnel(here: Node, cluster: Cluster) -> Iterator[Obj]:
    """vxlan0 with its address."""
    mac = names.mac(names.VTEP, here.number)
    yield tunnels.device(here, cluster, DEVICE, mac, cluster.pod_mtu, vni=VNI)
    for cidr in here.pod_cidrs:
        yield Addr(here.netns, DEVICE, vtep_address(cidr), why=node_why(here))


class VxlanPlane:
    """An overlay: Pods' frames travel between the nodes inside UDP."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0 and vxlan0, and masquerading where there is an outside."""
        yield from cni_bridge.bridge(here, cluster)
        yield from tunnel(here, cluster)
        yield from cni_bridge.masquerading(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """A veth pair to cni0."""
        return cni_bridge.attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """A neighbour, a forwarding entry, a route."""
        why = pair_why(here, there.node)
        mac = names.mac(names.VTEP, there.node.number)
        yield Fdb(here.netns, DEVICE, mac, there.addresses[0], why=why)
        for cidr, vtep in zip(there.cidrs, there.firsts, strict=True):
            yield Neigh(here.netns, DEVICE, vtep, mac, why=why)
            yield Route(here.netns, cidr, via=vtep, dev=DEVICE, onlink=True, why=why)


PLANE: Dataplane = VxlanPlane()
