"""The flat underlay: one segment, a bridge in a namespace of its own, that all nodes' eth0 hang off.

Its first address is the router's: every node needs a default route, or proxy ARP and connections from a node to a
Service address fail before any rule sees them.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab import names
from netlab.model import Cluster
from netlab.objects import Addr, Bridge, Obj, Port, Route, Veth, Why
from netlab.objects.links import End
from netlab.plan.why import node_why

BRIDGE = "br0"
NODE_INDEX, BRIDGE_INDEX, FIRST_PORT_INDEX = 2, 2, 2  # lo has 1; the port of node n has index n + 2


def addrgen(cluster: Cluster) -> str:
    """Whether links make themselves a link-local address: not in IPv4-only labs, where it is noise in captures."""
    return "eui64" if "IPv6" in cluster.families else "none"


def default_routes(netns: str, gateways: tuple[object, ...], dev: str, why: Why) -> Iterator[Obj]:
    """A default route a family."""
    for gateway in gateways:
        address = str(gateway)
        yield Route(netns, "::/0" if ":" in address else "0.0.0.0/0", via=address, dev=dev, why=why)


def objects(cluster: Cluster) -> Iterator[Obj]:
    """The segment, and every node's place on it."""
    under = cluster.underlay
    why = Why("the underlay", under.mark)
    yield Bridge(under.netns, BRIDGE, under.mac, under.mtu, BRIDGE_INDEX, addrgen(cluster), cluster.offload, why=why)
    for gateway in under.gateways:
        yield Addr(under.netns, BRIDGE, str(gateway), why=why)
    for node in cluster.nodes:
        why = node_why(node)
        port = names.port_name(node.name)
        yield Veth(
            node.netns,
            End(node.netns, "eth0", node.mac, cluster.mtu, NODE_INDEX, "", addrgen(cluster), cluster.offload),
            End(
                under.netns,
                port,
                names.mac(names.UNDERLAY_PORT, node.number),
                under.mtu,
                FIRST_PORT_INDEX + node.number,
                "",
                addrgen(cluster),
                cluster.offload,
            ),
            why=why,
        )
        yield Port(under.netns, port, BRIDGE, why=why)
        for address in node.addresses:
            yield Addr(node.netns, "eth0", str(address), why=why)
        yield from default_routes(node.netns, tuple(gateway.ip for gateway in under.gateways), "eth0", why)
