"""``flannel-vxlan``: what flanneld and the flannel CNI plugin make with the backend vxlan.

cni0 and veth pairs by the CNI plugin ``bridge`` (hairpin on, default gateway), device flannel.1 (VNI 1, UDP 8472), a permanent neighbour, a permanent forwarding entry
and an ``onlink`` route a node; in the Pods also a route to the whole network.  Masquerading and forwarding rules are
flannel's nftables mode (pkg/trafficmngr/nftables).

One difference: for IPv6 flannel takes 50 bytes off the MTU although the outer header needs 70; here it is 70, so that
packets of exactly the Pods' MTU pass.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab import names
from netlab.model import Cluster, Node, Pod
from netlab.objects import Fdb, Neigh, NftChain, NftTable, Obj, Route
from netlab.plan.dataplanes import cni_bridge, tunnels
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import node_why, pair_why, pod_why

VNI = 1
_DEVICE = {4: ("flannel.1", 4), 6: ("flannel-v6.1", 5)}  # name, index


class FlannelVxlan:
    """flannel with its default backend."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0, a VXLAN device a family, the rules."""
        yield from cni_bridge.bridge(here, cluster)
        macs = {version: names.mac(names.VTEP, here.number, version) for version in _DEVICE}
        yield from tunnels.by_family(here, cluster, _DEVICE, macs, vni=VNI)
        yield from rules(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """A veth pair to cni0, named as the CNI plugin names them, and the route to the whole network."""
        name = "veth" + names.short_hash(str(pod))
        yield from cni_bridge.attach(pod, here, cluster, name=name)
        for network, gateway in zip(cluster.pod_cidrs, here.gateways, strict=True):
            yield Route(pod.netns, str(network), via=str(gateway.ip), dev="eth0", why=pod_why(pod))

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """A neighbour, a forwarding entry, a route, for each family on its own device."""
        why = pair_why(here, there.node)
        for version, address, cidr, vtep in zip(
            there.versions, there.addresses, there.cidrs, there.firsts, strict=True
        ):
            device, _ = _DEVICE[version]
            mac = names.mac(names.VTEP, there.node.number, version)
            yield Neigh(here.netns, device, vtep, mac, why=why)
            yield Fdb(here.netns, device, mac, address, why=why)
            yield Route(here.netns, cidr, via=vtep, dev=device, onlink=True, why=why)


def rules(here: Node, cluster: Cluster) -> Iterator[Obj]:
    """flannel's tables: forward what is of the network, masquerade what leaves it.

    0x4000 is kube-proxy's mark for what it masquerades itself.
    """
    why = node_why(here)
    for own, network in zip(here.pod_cidrs, cluster.pod_cidrs, strict=True):
        family, multicast = ("ip", "224.0.0.0/4") if own.version == 4 else ("ip6", "ff00::/8")
        table = "flannel-ipv4" if own.version == 4 else "flannel-ipv6"
        table_key = (here.netns, family, table)
        yield NftTable(*table_key, comment=f"rules for {table}", why=why)
        yield NftChain(
            *table_key,
            chain="forward",
            rules=(f"{family} saddr {network} accept", f"{family} daddr {network} accept"),
            base="type filter hook forward priority filter; policy accept;",
            comment="chain to accept flannel traffic",
            why=why,
        )
        yield NftChain(
            *table_key,
            chain="postrtg",
            rules=(
                "meta mark 0x4000 return",
                f"{family} saddr {own} {family} daddr {network} return",
                f"{family} saddr {network} {family} daddr {own} return",
                f"{family} saddr != {own} {family} daddr {network} return",
                f"{family} saddr {network} {family} daddr != {multicast} masquerade fully-random",
                f"{family} saddr != {network} {family} daddr {network} masquerade fully-random",
            ),
            base="type nat hook postrouting priority srcnat; policy accept;",
            comment="chain to manage traffic masquerading by flannel",
            why=why,
        )


PLANE: Dataplane = FlannelVxlan()
