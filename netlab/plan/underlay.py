"""The network between the nodes, seen from a node: its eth0, its default route, its next hops.

A ``flat`` underlay is one segment: a bridge in a namespace of its own, with the router's address on it.  A ``routed``
one is ``plan.racks``.  Every node has a default route: proxy ARP and connections from a node to a Service address fail
without one, before any rule sees them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab import names
from netlab.model import Cluster, Interface, Node
from netlab.objects import Addr, Bridge, NftChain, NftTable, Obj, Port, Route, Veth, Why
from netlab.objects.links import End
from netlab.plan.why import node_why

BRIDGE = "br0"
NODE_INDEX, BRIDGE_INDEX, FIRST_PORT_INDEX = 2, 2, 2  # lo has 1; the port of node n has index n + 2


def addrgen(cluster: Cluster) -> str:
    """Whether links make themselves a link-local address: not in IPv4-only labs, where it is noise in captures."""
    return "eui64" if "IPv6" in cluster.families else "none"


def default_routes(netns: str, gateways: Iterable[object], dev: str, why: Why) -> Iterator[Obj]:
    """A default route a family."""
    for gateway in gateways:
        address = str(gateway)
        yield Route(netns, "::/0" if ":" in address else "0.0.0.0/0", via=address, dev=dev, why=why)


def gateways(node: Node, cluster: Cluster) -> tuple[Interface, ...]:
    """The router's addresses on the node's segment."""
    return cluster.underlay.rack(node.rack).gateways if node.rack else cluster.underlay.gateways


def on_link(here: Node, there: Node) -> bool:
    """Whether two nodes share a segment."""
    return here.rack == there.rack


def next_hop(here: Node, there: Node, version: int, cluster: Cluster) -> str:
    """The next hop from a node to another: that node on its own segment, else its router."""
    choice = there.addresses if on_link(here, there) else gateways(here, cluster)
    return next(str(address.ip) for address in choice if address.version == version)


def segment(netns: str, members: Iterable[Node], cluster: Cluster, mac: str, why: Why) -> Iterator[Obj]:
    """A bridge with the router's addresses, and the eth0 of every node on it."""
    under, gen = cluster.underlay, addrgen(cluster)
    nodes = list(members)
    yield Bridge(netns, BRIDGE, mac, under.mtu, BRIDGE_INDEX, gen, cluster.offload, why=why)
    for gateway in gateways(nodes[0], cluster) if nodes else under.gateways:
        yield Addr(netns, BRIDGE, str(gateway), why=why)
    for node in nodes:
        because = node_why(node)
        port = names.port_name(node.name)
        yield Veth(
            node.netns,
            End(node.netns, "eth0", node.mac, cluster.mtu, NODE_INDEX, "", gen, cluster.offload),
            End(
                netns,
                port,
                names.mac(names.UNDERLAY_PORT, node.number),
                under.mtu,
                FIRST_PORT_INDEX + node.number,
                "",
                gen,
                cluster.offload,
            ),
            why=because,
        )
        yield Port(netns, port, BRIDGE, why=because)
        for address in node.addresses:
            yield Addr(node.netns, "eth0", str(address), why=because)
        yield from default_routes(node.netns, (gateway.ip for gateway in gateways(node, cluster)), "eth0", because)
    if under.drop_foreign_sources:
        yield from _spoof_guard(netns, nodes, why)


def _spoof_guard(netns: str, nodes: list[Node], why: Why) -> Iterator[Obj]:
    """A spoof guard as in clouds: a port accepts only packets from its node's own address (and link-local ones)."""
    rules = []
    for node in nodes:
        port = names.port_name(node.name)
        for address in node.addresses:
            family = "ip" if address.version == 4 else "ip6"
            own = f"{{ {address.ip}, fe80::/10 }}" if address.version == 6 else str(address.ip)
            rules.append(f'iifname "{port}" {family} saddr != {own} counter drop comment "underlay:{node.name}"')
    yield NftTable(netns, "bridge", "underlay", comment="source addresses that are not the node's", why=why)
    yield NftChain(
        netns,
        "bridge",
        "underlay",
        chain="prerouting",
        rules=tuple(rules),
        base="type filter hook prerouting priority filter; policy accept;",
        why=why,
    )


def no_way(netns: str, why: Why) -> Iterator[Obj]:
    """A router says at once, each time, that it knows no way.

    The kernel's own answer is limited to one a second and peer (net.ipv4.route.error_cost, which no lab may set), so
    the same fault would show as an error first and as silence then.
    """
    yield NftTable(netns, "inet", "underlay", comment="answers for what this router has no route to", why=why)
    yield NftChain(
        netns,
        "inet",
        "underlay",
        chain="prerouting",
        rules=("fib daddr oif missing fib daddr type unicast counter reject with icmpx no-route",),
        base="type filter hook prerouting priority filter; policy accept;",
        why=why,
    )


def objects(cluster: Cluster) -> Iterator[Obj]:
    """The flat segment; ``racks`` has the other form of an underlay."""
    under = cluster.underlay
    why = Why("the underlay", under.mark)
    yield from segment(under.netns, cluster.nodes, cluster, under.mac, why)
    if cluster.external or not cluster.plane.crosses_nodes:
        yield from no_way(under.netns, why)
