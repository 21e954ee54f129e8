"""Hosts outside the cluster: behind the underlay's router (a routed underlay's spine), on a link of their own.

They have routes to the nodes and not to the Pods. A packet from a Pod gets a reply only if its node masquerades it.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab import names
from netlab.model import Cluster, External, Network
from netlab.objects import Addr, Obj, Route, Veth, Why
from netlab.objects.links import End
from netlab.plan.underlay import addrgen, default_routes

_FIRST_INDEX = 60000
_MAC_SERIAL = 1000  # in names.mac's UNDERLAY kind, beyond what the racks use


def external_why(host: External) -> Why:
    """The reason recorded on objects that exist for this host."""
    return Why(f"external host {host.name}", host.mark)


def objects(cluster: Cluster) -> Iterator[Obj]:
    """Each host's link to the router, its address, its default route, and the router's route to it."""
    under, gen = cluster.underlay, addrgen(cluster)
    for host in cluster.external:
        why = external_why(host)
        port = names.port_name(host.name)
        index = _FIRST_INDEX + host.number
        own = names.mac(names.UNDERLAY, host.number, _MAC_SERIAL)
        routers = names.mac(names.UNDERLAY, host.number, _MAC_SERIAL + 1)
        yield Veth(
            host.netns,
            End(host.netns, "eth0", own, under.mtu, index, "", gen, cluster.offload),
            End(under.netns, port, routers, under.mtu, index, "", gen, cluster.offload),
            why=why,
        )
        for address in host.addresses:
            gateway = router_address(cluster, address.version)
            yield Addr(host.netns, "eth0", str(address), why=why)
            yield Route(host.netns, f"{gateway}/{address.max_prefixlen}", dev="eth0", scope="link", why=why)
            yield from default_routes(host.netns, (gateway,), "eth0", why)
            if address.version == 6:
                # Neighbour discovery answers only for addresses of the very link; ARP for any of the host's.
                yield Addr(under.netns, port, f"{gateway}/128", why=why)
            yield Route(under.netns, str(address), dev=port, scope="link", why=why)


def router_address(cluster: Cluster, version: int) -> str:
    """The router's address that a host outside sends to."""
    under = cluster.underlay
    if under.racks:
        return next(str(spine.ip) for _, spine in under.racks[0].uplinks if spine.version == version)
    return next(str(gateway.ip) for gateway in under.gateways if gateway.version == version)


def masquerade(network: Network) -> str:
    """The rule of netlab's own data planes: what leaves the Pods' network gets the node's address; never between Pods.

    Only the node's /24 would not do: under br_netfilter the rule also sees what crosses to other nodes' Pods.
    """
    family = "ip" if network.version == 4 else "ip6"
    multicast = "224.0.0.0/4" if network.version == 4 else "ff00::/8"
    return f"{family} saddr {network} {family} daddr != {{ {network}, {multicast} }} counter masquerade"
