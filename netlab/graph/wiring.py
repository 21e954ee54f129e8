"""Devices, wires, bridges, tunnels and routes of a desired state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from netlab.model.cluster.impairments import UP, Impairment
from netlab.objects import Addr, Fdb, Geneve, Ipip, Neigh, Port, Route, State, Vxlan, WgPeer
from netlab.objects import Bridge as BridgeObject
from netlab.objects.links import Device, End, Veth
from netlab.objects.tunnels import Tunnel
from netlab.output import graph as output
from netlab.output.changes import LinkEnd
from netlab.output.places import place


def texts(values: Iterable[object]) -> tuple[str, ...]:
    """Addresses, networks or names as text."""
    return tuple(map(str, values))


def devices(want: State) -> Iterable[output.Device]:
    """Each end of each link, with its addresses."""
    addresses: dict[tuple[str, str], list[str]] = defaultdict(list)
    for addr in want.only(Addr):
        addresses[addr.netns, addr.dev].append(addr.address)
    masters = {(port.netns, port.dev): port.master for port in want.only(Port)}

    def device(end: End, kind: str, peer: End | None = None) -> output.Device:
        return output.Device(
            netns=end.netns,
            dev=end.name,
            type=kind,
            mac=end.mac,
            mtu=end.mtu,
            addresses=tuple(addresses[end.netns, end.name]),
            altname=end.altname or None,
            master=masters.get((end.netns, end.name)),
            peer=_end(peer) if peer else None,
        )

    for obj in want.values():
        if isinstance(obj, Veth):
            yield device(obj.end, obj.kind, obj.peer)
            yield device(obj.peer, obj.kind, obj.end)
        elif isinstance(obj, Device):
            yield device(obj.end(), obj.kind)


def _end(end: End) -> LinkEnd:
    return LinkEnd(netns=end.netns, dev=end.name)


def wires(
    want: State, impairments: Iterable[Impairment], up: frozenset[tuple[str, str]] | None
) -> Iterable[output.Wire]:
    """The veth pairs; the MTU of a wire is the smaller of its ends'.  ``up``: the kernel's links that are; None: unknown."""
    by_end: dict[tuple[str, str], list[Impairment]] = defaultdict(list)
    for impairment in impairments:
        by_end[impairment.link.netns, impairment.link.dev].append(impairment)
    for veth in want.only(Veth):
        ends = (veth.end.netns, veth.end.name), (veth.peer.netns, veth.peer.name)
        yield output.Wire(
            ends=(_end(veth.end), _end(veth.peer)),
            mtu=min(veth.end.mtu, veth.peer.mtu),
            state=None if up is None else "up" if up.issuperset(ends) else "down",
            impaired=tuple(
                _impaired(lower if each.direction == UP else upper, each)
                for lower, upper in (ends, ends[::-1])
                for each in by_end.get(lower, ())
            ),
        )


def _impaired(end: tuple[str, str], impairment: Impairment) -> output.Impaired:
    netns, dev = end
    return output.Impaired(netns=netns, dev=dev, impairments=impairment.values.texts(), **place(impairment.mark))


def bridges(want: State) -> Iterable[output.Bridge]:
    """The bridges with their ports."""
    ports: dict[tuple[str, str], list[str]] = defaultdict(list)
    for port in want.only(Port):
        ports[port.netns, port.master].append(port.dev)
    for bridge in want.only(BridgeObject):
        yield output.Bridge(netns=bridge.netns, dev=bridge.dev, ports=tuple(ports[bridge.netns, bridge.dev]))


def tunnels(want: State) -> Iterable[output.Tunnel]:
    """The tunnels' devices, each with the outer addresses that it sends to."""
    owners = _owners(want)
    entries: dict[tuple[str, str], list[output.Remote]] = defaultdict(list)
    for entry in want.only(Fdb):
        remote = output.Remote(mac=entry.mac, dst=entry.dst, netns=owners.get(entry.dst))
        entries[entry.netns, entry.dev].append(remote)
    by_next_hop = {(device.netns, device.dev) for device in want.only(Ipip)}
    for route in want.only(Route):
        if (route.netns, route.dev) in by_next_hop and route.via:
            entries[route.netns, route.dev].append(output.Remote(mac="", dst=route.via, netns=owners.get(route.via)))
    for peer in want.only(WgPeer):
        address = peer.endpoint.rpartition(":")[0].strip("[]")
        entries[peer.netns, peer.dev].append(output.Remote(mac="", dst=address, netns=peer.remote))
    for tunnel in want.values():
        if not isinstance(tunnel, Tunnel):
            continue
        if isinstance(tunnel, Geneve):
            remote = output.Remote(mac="", dst=tunnel.remote, netns=owners.get(tunnel.remote))
            entries[tunnel.netns, tunnel.dev].append(remote)
        yield output.Tunnel(
            netns=tunnel.netns,
            dev=tunnel.dev,
            vni=tunnel.vni if isinstance(tunnel, (Vxlan, Geneve)) else 0,
            port=0 if isinstance(tunnel, Ipip) else tunnel.port,
            local=tunnel.local.removeprefix("any") if isinstance(tunnel, (Vxlan, Ipip)) else "",
            lower=tunnel.lower if isinstance(tunnel, Vxlan) else "",
            remotes=tuple(entries[tunnel.netns, tunnel.dev]),
            kind=tunnel.kind,
        )


def routes(want: State) -> Iterable[output.Route]:
    """The routes, without those that the kernel makes with an address."""
    owners = _owners(want)
    for route in want.only(Route):
        yield output.Route(
            netns=route.netns,
            dst=route.dst,
            type=route.type,
            via=route.via or None,
            to_netns=owners.get(route.via),
            dev=route.dev or None,
            src=route.src or None,
            metric=route.metric,
            why=route.why.message,
            **place(route.why.mark),
        )


def neighbours(want: State) -> Iterable[output.Neighbour]:
    """The permanent neighbour entries."""
    for entry in want.only(Neigh):
        yield output.Neighbour(netns=entry.netns, dev=entry.dev, address=entry.address, mac=entry.mac)


def _owners(want: State) -> dict[str, str]:
    """The namespace of each address that a single namespace has."""
    owners: dict[str, set[str]] = defaultdict(set)
    for addr in want.only(Addr):
        owners[addr.address.partition("/")[0]].add(addr.netns)
    return {address: next(iter(netns)) for address, netns in owners.items() if len(netns) == 1}
