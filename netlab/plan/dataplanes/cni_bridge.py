"""The wiring of the CNI plugin ``bridge`` with ``isDefaultGateway`` and ``hairpinMode``, as flannel uses it.

The bridge cni0 has the first address of the node's Pod CIDR and a MAC of its own (unset, it would follow the lowest MAC
among the ports, and Pods' neighbour entries for the gateway would go stale).  ``hairpin on``: a Pod that reaches itself
by a Service must get its frame back by the port that it left by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab import names
from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Bridge, Neigh, NftChain, NftTable, Obj, Port, Route, Veth
from netlab.objects.links import End
from netlab.plan.dataplanes.far import Far
from netlab.plan.external import masquerade
from netlab.plan.underlay import addrgen, default_routes, on_link
from netlab.plan.why import node_why, pair_why, pod_why

CNI0_INDEX, POD_INDEX = 3, 2
FIRST_VETH_INDEX = 1000  # unique in the lab, so that the dumps of two namespaces pair without a look-up


def bridge(here: Node, cluster: Cluster) -> Iterator[Obj]:
    """The plane's bridge with its gateway addresses."""
    why, name = node_why(here), cluster.plane.bridge
    mac = names.mac(names.CNI0, here.number)
    yield Bridge(here.netns, name, mac, cluster.pod_mtu, CNI0_INDEX, addrgen(cluster), cluster.offload, why=why)
    for gateway in here.gateways:
        yield Addr(here.netns, name, str(gateway), why=why)


def veth(pod: Pod, here: Node, cluster: Cluster, name: str, mac: str = "") -> Veth:
    """The pair from a Pod's eth0 to its node's link ``name`` (``mac``: else one of the Pod's own)."""
    gen, mtu = addrgen(cluster), cluster.pod_mtu
    altname = names.pod_altname(pod.namespace, pod.name)
    mac = mac or names.mac(names.POD_PEER, here.number, pod.serial)
    return Veth(
        here.netns,
        End(here.netns, name, mac, mtu, FIRST_VETH_INDEX + pod.serial, altname, gen, cluster.offload),
        End(pod.netns, "eth0", pod.mac, mtu, POD_INDEX, "", gen, cluster.offload),
        why=pod_why(pod),
    )


def routes_by_address(here: Node, there: Far) -> Iterator[Obj]:
    """``10.244.2.0/24 via 172.18.0.3 dev eth0``; nothing across racks: that next hop is not on the link."""
    if on_link(here, there.node):
        why = pair_why(here, there.node)
        for cidr, address in zip(there.cidrs, there.addresses, strict=True):
            yield Route(here.netns, cidr, via=address, dev="eth0", why=why)


class Plain:
    """A data plane of a bridge and nothing around the packets, with a route for each other node if it crosses nodes.

    No encapsulation: the nodes must share a segment, since the other node is the next hop.
    """

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0, and masquerading where there is an outside."""
        yield from bridge(here, cluster)
        yield from masquerading(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """A veth pair to cni0."""
        return attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterable[Obj]:
        """A route by the other node's address for each of its Pod CIDRs."""
        return routes_by_address(here, there) if cluster.plane.crosses_nodes else ()


def attach(pod: Pod, here: Node, cluster: Cluster, *, name: str = "") -> Iterator[Obj]:
    """A veth pair from the Pod's eth0 to the bridge, the Pod's address and default route.

    The neighbours on both sides are permanent: the kernel has one neighbour table for all namespaces, with 1,024
    entries by default, and permanent ones are not counted.
    """
    why, bridge_name = pod_why(pod), cluster.plane.bridge
    name = name or names.veth_name(pod.namespace, pod.name)
    yield veth(pod, here, cluster, name)
    yield Port(here.netns, name, bridge_name, hairpin=True, why=why)
    gateway_mac = names.mac(names.CNI0, here.number)
    for address, gateway in zip(pod.addresses, here.gateways, strict=True):
        yield Addr(pod.netns, "eth0", str(address), why=why)
        yield Neigh(pod.netns, "eth0", str(gateway.ip), gateway_mac, why=why)
        yield Neigh(here.netns, bridge_name, str(address.ip), pod.mac, why=why)
    yield from default_routes(pod.netns, tuple(gateway.ip for gateway in here.gateways), "eth0", why)


def masquerading(here: Node, cluster: Cluster) -> Iterator[Obj]:
    """netlab's own data planes masquerade where there is an outside: a lab without one is spared connection tracking."""
    if not cluster.masquerades:
        return
    why = node_why(here)
    for network in cluster.pod_cidrs:
        table = (here.netns, "ip" if network.version == 4 else "ip6", "netlab")
        yield NftTable(*table, why=why)
        yield NftChain(
            *table,
            chain="postrouting",
            rules=(masquerade(network),),
            base="type nat hook postrouting priority srcnat; policy accept;",
            why=why,
        )
