"""The underlay: one segment, or racks with a router each and a spine between them; and the hosts outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from netlab import names
from netlab.errors import Mark
from netlab.model.cluster import External, Interface, Network, Port, Rack, Underlay
from netlab.model.topology.nodes import cidrs
from netlab.spec import Document

FLAT_CIDRS = {"IPv4": "172.18.0.0/24", "IPv6": "fd00:172:18::/64"}
ROUTED_CIDRS = {"IPv4": "172.18.0.0/16", "IPv6": "fd00:172:18::/48"}
# The links between routers: a /31 (RFC 3021) or /127 (RFC 6164) each, out of nobody else's way.
_UPLINKS = {4: ip_network("172.31.255.0/24"), 6: ip_network("fd00:172:31:255::/112")}
RACKS_MAX = (1 << 32 - 24) // 2 - 1  # the spine's links; the first is left out
_RACK_MASK = {4: 24, 6: 64}
FIRST_RACK = "rack-1"

Complain = Callable[[Mark | None, str, str], None]


def underlay(
    lab: str, spec: Mapping[str, Any], families: Sequence[str], mtu: int, mark: Mark | None, complain: Complain
) -> Underlay:
    """The network between the nodes, as the Lab document's ``spec`` has it."""
    given = spec.get("underlay", {})
    kind = given.get("kind", "flat")
    networks = cidrs(given, "cidr", "cidrs", families, FLAT_CIDRS if kind == "flat" else ROUTED_CIDRS)
    racks: tuple[Rack, ...] = ()
    if kind == "routed":
        named = dict.fromkeys(node.get("rack", FIRST_RACK) for node in spec.get("nodes", [{}]))
        if len(named) > RACKS_MAX:
            message = f"rack {list(named)[RACKS_MAX]} is one of {len(named):,} racks, and {RACKS_MAX} is the most"
            complain(None, "spec.nodes", message)
        named = dict.fromkeys(list(named)[:RACKS_MAX])
        racks = tuple(_rack(lab, name, number, networks, complain) for number, name in enumerate(named, 1))
    return Underlay(
        kind,
        networks,
        tuple(ip_interface(f"{network[1]}/{network.prefixlen}") for network in networks),
        names.underlay_netns(lab),
        names.mac(names.UNDERLAY, 0, 1),
        given.get("mtu", mtu),
        mark,
        racks,
        given.get("learnsPodRoutes", False),
        given.get("dropForeignSources", False),
    )


def _rack(lab: str, name: str, number: int, networks: Sequence[Network], complain: Complain) -> Rack:
    """The n-th rack: the n-th /24 (/64) of the underlay, its first address the router's; an uplink to the spine."""
    own: list[Network] = []
    uplinks: list[tuple[Interface, Interface]] = []
    for network in networks:
        mask = max(_RACK_MASK[network.version], network.prefixlen)
        if number >= 1 << (mask - network.prefixlen):
            complain(None, "spec.underlay.cidr", f"{network} has no part for rack {name}: each gets a /{mask}")
            own.append(network)
        else:
            base = int(network.network_address) + (number << (network.max_prefixlen - mask))
            own.append(ip_network((base, mask)))
        pool = _UPLINKS[network.version]
        length = pool.max_prefixlen - 1
        spine, router = pool[2 * number], pool[2 * number + 1]
        uplinks.append((ip_interface(f"{router}/{length}"), ip_interface(f"{spine}/{length}")))
    gateways = tuple(ip_interface(f"{network[1]}/{network.prefixlen}") for network in own)
    return Rack(name, number, names.node_netns(lab, name), tuple(own), gateways, tuple(uplinks))


def externals(
    lab: str,
    document: Document | None,
    families: Sequence[str],
    inside: Sequence[Network],
    complain: Complain,
) -> tuple[External, ...]:
    """The hosts outside the cluster; ``inside`` are networks that their addresses must not lie in."""
    if document is None:
        return ()
    racks = []
    for number, entry in enumerate(document.body.get("spec", {}).get("external", []), 1):
        mark = document.at("spec", "external", number - 1, "name")
        texts = [entry["address"]] if "address" in entry else entry.get("addresses", [])
        addresses = []
        for text in texts:
            address = ip_address(text)
            if f"IPv{address.version}" not in families:
                complain(mark, "spec.external", f"{entry['name']}: {text} is of a family that the lab does not have")
            clash = next((network for network in inside if address in network), None)
            if clash is not None:
                complain(mark, "spec.external", f"{entry['name']}: {text} is inside the cluster's own {clash}")
            addresses.append(ip_interface(f"{address}/{address.max_prefixlen}"))
        ports = tuple(_port(each, mark) for each in entry.get("ports", (80,)))
        racks.append(
            External(entry["name"], number, names.node_netns(lab, entry["name"]), tuple(addresses), ports, mark)
        )
    return tuple(racks)


def _port(each: int | str, mark: Mark | None) -> Port:
    number, _, protocol = str(each).partition("/")
    return Port(int(number), protocol or "TCP", "", "", True, mark)
