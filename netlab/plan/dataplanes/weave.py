"""``weave``: one flat segment over all nodes, as Weave Net makes it.

Every node has a bridge called weave with an address of the whole range (10.32.0.0/12). A VXLAN device vxlan-6784 (UDP
6784) is one of its ports, which floods to all other nodes and learns. So Pods of different nodes are neighbours, and
ARP crosses the nodes. Weave itself forwards by an Open vSwitch datapath that routers program; here the kernel's bridge
and VXLAN device forward. MTU 1376 on an underlay of 1500 is Weave's default.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab import names
from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Bridge, Fdb, Neigh, NftChain, NftTable, Obj, Port
from netlab.plan.dataplanes import cni_bridge, tunnels
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.cni_bridge import CNI0_INDEX
from netlab.plan.dataplanes.far import Far
from netlab.plan.underlay import addrgen, default_routes
from netlab.plan.why import node_why, pair_why, pod_why

DEVICE, VNI = "vxlan-6784", 1
_EVERYBODY = "00:00:00:00:00:00"  # the forwarding entry for what has none: flood


class Weave:
    """Weave Net's addresses and flat segment."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """The bridge with the node's own address, the VXLAN device as its port, masquerading."""
        why = node_why(here)
        mtu, gen = cluster.pod_mtu, addrgen(cluster)
        mac = names.mac(names.CNI0, here.number)
        yield Bridge(here.netns, cluster.plane.bridge, mac, mtu, CNI0_INDEX, gen, cluster.offload, why=why)
        vtep = names.mac(names.VTEP, here.number)
        yield tunnels.device(here, cluster, DEVICE, vtep, mtu, vni=VNI, learning=True)
        yield Port(here.netns, DEVICE, cluster.plane.bridge, why=why)
        for gateway, network in zip(here.gateways, cluster.pod_cidrs, strict=True):
            yield Addr(here.netns, cluster.plane.bridge, f"{gateway.ip}/{network.prefixlen}", why=why)
        for network in cluster.pod_cidrs:
            family = "ip" if network.version == 4 else "ip6"
            table = (here.netns, family, "weave")
            yield NftTable(*table, why=why)
            yield NftChain(
                *table,
                chain="WEAVE",
                rules=(f"{family} saddr {network} {family} daddr != {network} counter masquerade",),
                base="type nat hook postrouting priority srcnat; policy accept;",
                why=why,
            )

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """A veth pair to the bridge; the Pod's prefix is the whole range's."""
        why = pod_why(pod)
        name = "vethwepl" + names.short_hash(str(pod), 7)  # Weave's form: vethwepl and the container's pid or id
        yield cni_bridge.veth(pod, here, cluster, name)
        yield Port(here.netns, name, cluster.plane.bridge, hairpin=True, why=why)
        for address, gateway, network in zip(pod.addresses, here.gateways, cluster.pod_cidrs, strict=True):
            yield Addr(pod.netns, "eth0", f"{address.ip}/{network.prefixlen}", why=why)
            yield Neigh(pod.netns, "eth0", str(gateway.ip), names.mac(names.CNI0, here.number), why=why)
            yield Neigh(here.netns, cluster.plane.bridge, str(address.ip), pod.mac, why=why)
        yield from default_routes(pod.netns, tuple(gateway.ip for gateway in here.gateways), "eth0", why)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """A forwarding entry: frames to unknown MACs go to that node too."""
        yield Fdb(here.netns, DEVICE, _EVERYBODY, there.addresses[0], why=pair_why(here, there.node))


PLANE: Dataplane = Weave()
