"""``kindnet``: kind's default network: the CNI plugin ``ptp``, a route a node, masquerading.

Each Pod has a veth of its own to the node, whose end carries the gateway's address as a /32; no bridge, so every packet
is routed, also between Pods of one node.  The Pod's connected route is taken away: its neighbours are behind the
gateway too.  Routes to other nodes name their addresses, and cross racks only if routers know the Pods.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab import names
from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Neigh, NftChain, NftSet, NftTable, Obj, Route
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.cni_bridge import routes_by_address, veth
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import node_why, pod_why


class Kindnet:
    """kind's own CNI."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """``table inet kindnet-ipmasq``: what leaves the cluster gets the node's address."""
        why = node_why(here)
        table = (here.netns, "inet", "kindnet-ipmasq")
        yield NftTable(*table, why=why)
        skip = []
        for version, word, family in ((4, "ipv4_addr", "ip"), (6, "ipv6_addr", "ip6")):
            kept = frozenset(str(cidr) for cidr in cluster.pod_cidrs if cidr.version == version)
            name = f"noMasqV{version}"
            yield NftSet(*table, set=name, type=word, elements=kept, flags="interval", extra="auto-merge;", why=why)
            skip.append(f"{family} daddr @{name} accept")
        yield NftChain(
            *table,
            chain="postrouting",
            rules=(
                "ct state established,related accept",
                "fib saddr type local accept",
                *skip,
                "counter masquerade",
            ),
            base="type nat hook postrouting priority srcnat - 10; policy accept;",
            why=why,
        )

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """ptp's veth pair, addresses and routes."""
        why = pod_why(pod)
        name = "veth" + names.short_hash(str(pod))
        pair = veth(pod, here, cluster, name)
        mac = pair.end.mac
        yield pair
        for address, gateway, cidr in zip(pod.addresses, here.gateways, here.pod_cidrs, strict=True):
            whole = gateway.max_prefixlen
            v4 = address.version == 4
            src = str(address.ip) if v4 else ""
            yield Addr(pod.netns, "eth0", str(address), prefix_route=False, why=why)
            yield Neigh(pod.netns, "eth0", str(gateway.ip), mac, why=why)
            yield Route(pod.netns, f"{gateway.ip}/{whole}", dev="eth0", src=src, scope="link", why=why)
            yield Route(pod.netns, str(cidr), via=str(gateway.ip), dev="eth0", src=src, why=why)
            yield Route(pod.netns, "0.0.0.0/0" if v4 else "::/0", via=str(gateway.ip), dev="eth0", why=why)
            yield Addr(here.netns, name, f"{gateway.ip}/{whole}", why=why)
            scope = "host" if v4 else "link"  # IPv6 has no scopes
            yield Route(here.netns, f"{address.ip}/{whole}", dev=name, scope=scope, why=why)
            yield Neigh(here.netns, name, str(address.ip), pod.mac, why=why)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """A route by the other node's address, as host-gw's."""
        return routes_by_address(here, there)


PLANE: Dataplane = Kindnet()
