"""``geneve``: cni0, and a Geneve device for each other node with everything on it static.

A Geneve device of the kernel has one remote, so a node has one device for each other node: geneve.2 leads to node 2.
VNI 1, UDP 6081 (IANA's).  The address of each is the Pod CIDR's network address as a host address, which is the source
of what the node itself sends to remote Pods.  One device carries both families; its outer packets are of the lab's
first family.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab import names
from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Neigh, Obj, Route
from netlab.objects.tunnels import Geneve
from netlab.plan.dataplanes import cni_bridge
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.underlay import addrgen
from netlab.plan.why import pair_why

VNI = 1
_FIRST_INDEX = 1 << 17  # above the links of Pods


def device(node: Node) -> str:
    """The name of the device that leads to a node."""
    return f"geneve.{node.number}"


class GenevePlane:
    """An overlay: Pods' frames travel between the nodes inside UDP."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0, and masquerading where there is an outside."""
        yield from cni_bridge.bridge(here, cluster)
        yield from cni_bridge.masquerading(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """A veth pair to cni0."""
        return cni_bridge.attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """The device with its address, a neighbour and a route."""
        why, dev = pair_why(here, there.node), device(there.node)
        yield Geneve(
            here.netns,
            dev,
            names.mac(names.VTEP, here.number, there.node.number),
            cluster.pod_mtu,
            _FIRST_INDEX + there.node.number,
            addrgen(cluster),
            cluster.offload,
            vni=VNI,
            remote=there.addresses[0],
            port=cluster.plane.udp_port,
            why=why,
        )
        mac = names.mac(names.VTEP, there.node.number, here.number)
        for own, cidr, far_end in zip(here.pod_cidrs, there.cidrs, there.firsts, strict=True):
            yield Addr(here.netns, dev, f"{own.network_address}/{own.max_prefixlen}", why=why)
            yield Neigh(here.netns, dev, far_end, mac, why=why)
            yield Route(here.netns, cidr, via=far_end, dev=dev, onlink=True, why=why)


PLANE: Dataplane = GenevePlane()
