"""An index over a State: links, ports, addresses, routes and neighbours by namespace.

``path`` asks it the kernel's questions without a kernel: is an address local; which route, MAC or port is next.
Lookups are lazy: a lab of a thousand Pods has tens of thousands of objects, and a packet meets a dozen namespaces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network

from netlab.model import Network
from netlab.objects import (
    Addr,
    Bridge,
    Fdb,
    Geneve,
    Ipip,
    Key,
    Neigh,
    Obj,
    Port,
    Route,
    Sysctl,
    Veth,
    Vxlan,
    WgPeer,
    WireGuard,
)
from netlab.objects.links import Device
from netlab.objects.tunnels import Tunnel
from netlab.tuples import NamedTuple

EVERYBODY = "00:00:00:00:00:00"  # a VXLAN device's default entry
_FORWARDING = {4: ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"), 6: ("net.ipv6.conf.all.forwarding",)}
_BRIDGED = {4: "net.bridge.bridge-nf-call-iptables", 6: "net.bridge.bridge-nf-call-ip6tables"}

Interface = tuple[str, str]  # namespace, name


class NextHop(NamedTuple):
    """A route's result: ``via`` is the address to resolve; ``type`` is unicast, blackhole, ..."""

    dev: str
    via: str
    type: str
    dst: str


class Topology:
    """The index.  ``state`` may be the desired or the actual state."""

    def __init__(self, state: Mapping[Key, Obj]) -> None:
        self._routes: dict[str, list[Route]] = defaultdict(list)
        self._addrs: dict[str, list[Addr]] = defaultdict(list)
        self._tables: dict[tuple[str, int], list[tuple[Network, NextHop]]] = {}
        self._sysctls: dict[tuple[str, str], str] = {}
        self._neighbours: dict[tuple[str, str, str], str] = {}
        self._fdb: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._ports: dict[Interface, Port] = {}
        self._members: dict[Interface, list[str]] = defaultdict(list)
        self._owners: dict[str, list[Interface]] = defaultdict(list)
        self._macs: dict[str, list[Interface]] = defaultdict(list)
        self.bridges: dict[Interface, Bridge] = {}
        self._peers: dict[Interface, list[WgPeer]] = defaultdict(list)
        self.tunnels: dict[Interface, Tunnel] = {}
        self.peers: dict[Interface, Interface] = {}
        self.mac: dict[Interface, str] = {}
        self.mtu: dict[Interface, int] = {}
        for obj in state.values():
            self._take(obj)

    def _take(self, obj: Obj) -> None:
        if isinstance(obj, Route):
            self._routes[obj.netns].append(obj)
        elif isinstance(obj, Addr):
            self._addrs[obj.netns].append(obj)
            self._owners[obj.address.partition("/")[0]].append((obj.netns, obj.dev))
        elif isinstance(obj, Neigh):
            self._neighbours[obj.netns, obj.dev, obj.address] = obj.mac
        elif isinstance(obj, Fdb):
            self._fdb[obj.netns, obj.dev, obj.mac].append(obj.dst)
        elif isinstance(obj, WgPeer):
            self._peers[obj.netns, obj.dev].append(obj)
        elif isinstance(obj, Port):
            self._ports[obj.netns, obj.dev] = obj
            self._members[obj.netns, obj.master].append(obj.dev)
        elif isinstance(obj, Sysctl):
            self._sysctls[obj.netns, obj.path] = obj.value
        elif isinstance(obj, Veth):
            ends = [(end.netns, end.name) for end in (obj.end, obj.peer)]
            self.peers |= {ends[0]: ends[1], ends[1]: ends[0]}
            for end, interface in zip((obj.end, obj.peer), ends, strict=True):
                self._named(interface, end.mac, end.mtu)
        elif isinstance(obj, Device):
            interface = (obj.netns, obj.dev)
            if isinstance(obj, Bridge):
                self.bridges[interface] = obj
            elif isinstance(obj, Tunnel):
                self.tunnels[interface] = obj
            self._named(interface, obj.mac, obj.mtu)

    def _named(self, interface: Interface, mac: str, mtu: int) -> None:
        self.mac[interface], self.mtu[interface] = mac, mtu
        self._macs[mac].append(interface)

    # -- addresses ----------------------------------------------------------------------------------------------------

    def local(self, netns: str, address: str) -> bool:
        """Whether an address is the namespace's own."""
        return ip_address(address).is_loopback or any(where == netns for where, _ in self._owners.get(address, ()))

    def owners(self, address: str) -> list[Interface]:
        """The interfaces that have an address."""
        return self._owners.get(address, [])

    def mac_owners(self, mac: str) -> list[Interface]:
        """The interfaces that have a MAC address."""
        return self._macs.get(mac, [])

    def address_of(self, netns: str, dev: str, version: int) -> str:
        """The default source address of packets that leave by an interface; "" if it has none."""
        own = [ip_interface(addr.address) for addr in self._addrs[netns] if addr.dev == dev]
        return next((str(address.ip) for address in own if address.version == version), "")

    def own(self, netns: str, dev: str, target: str) -> str:
        """The source address of packets that leave by an interface.

        If the interface has none (a Calico Pod's veth), IPv4 takes the first interface's, IPv6 the address most like
        the target (RFC 6724, rule 8).
        """
        wanted = ip_address(target)
        address = self.address_of(netns, dev, wanted.version)
        if address or wanted.version == 4:
            return address or self.address_of(netns, "eth0", 4)
        own = (ip_interface(addr.address).ip for addr in self._addrs[netns])
        near = [address for address in own if address.version == 6]
        return str(max(near, key=lambda address: -(int(address) ^ int(wanted)).bit_length())) if near else ""

    def source_for(self, netns: str, target: str) -> str:
        """The source address of a namespace's own packets to a target; "" without a route."""
        hop = self.route(netns, target)
        if hop is None:
            return ""
        for route in self._routes[netns]:
            if route.src and route.dev == hop.dev and route.dst == hop.dst:
                return route.src
        return self.own(netns, hop.dev, target)

    def tunnel_source(self, tunnel: Tunnel, target: str) -> str:
        """The source of the packets that a tunnel's device sends to an outer target; "" without a route."""
        fixed = tunnel.local if isinstance(tunnel, (Vxlan, Ipip)) else ""
        return fixed if fixed not in ("", "any") else self.source_for(tunnel.netns, target)

    # -- routes -------------------------------------------------------------------------------------------------------

    def forwards(self, netns: str, version: int) -> bool:
        """Whether a namespace forwards packets."""
        return any(self._sysctls.get((netns, path)) == "1" for path in _FORWARDING[version])

    def rules_see_bridged(self, netns: str, version: int) -> bool:
        """Whether br_netfilter passes a namespace's bridged packets to its rules."""
        return self._sysctls.get((netns, _BRIDGED[version])) == "1"

    def route(self, netns: str, target: str) -> NextHop | None:
        """The route to a target: the longest prefix, then the lowest metric."""
        address = ip_address(target)
        for network, hop in self._table(netns, address.version):
            if address in network:
                return hop if hop.via else hop._replace(via=target)
        return None

    def _table(self, netns: str, version: int) -> list[tuple[Network, NextHop]]:
        key = netns, version
        if key not in self._tables:
            rows = [
                (network, route.metric, NextHop(route.dev, route.via, route.type, route.dst))
                for route in self._routes[netns]
                if not route.duplicate and (network := ip_network(route.dst)).version == version
            ]
            for addr in self._addrs[netns]:
                own = ip_interface(addr.address)
                if own.version == version and addr.prefix_route and own.network.prefixlen < own.max_prefixlen:
                    rows.append((own.network, 0, NextHop(addr.dev, "", "unicast", str(own.network))))
            rows.sort(key=lambda row: (-row[0].prefixlen, row[1]))
            self._tables[key] = [(network, hop) for network, _, hop in rows]
        return self._tables[key]

    # -- links --------------------------------------------------------------------------------------------------------

    def neighbour(self, netns: str, dev: str, address: str) -> str:
        """The MAC of a next hop: from a permanent entry, or from the host that would reply; "" for none."""
        mac = self._neighbours.get((netns, dev, address))
        if mac:
            return mac
        peer = self.peers.get((netns, dev))
        if peer is not None and peer not in self._ports:
            return self.mac.get(peer, "")  # the other end of the cable replies for all its routes
        owners = [owner for owner in self.owners(address) if owner[0] != netns and owner in self.mac]
        return self.mac[owners[0]] if owners else ""

    def master(self, interface: Interface) -> str:
        """The bridge of a port; "" for none."""
        port = self._ports.get(interface)
        return port.master if port else ""

    def port(self, interface: Interface) -> Port | None:
        """The bridge port of an interface."""
        return self._ports.get(interface)

    def ports(self, netns: str, bridge: str) -> list[str]:
        """The ports of a bridge."""
        return self._members.get((netns, bridge), [])

    def behind(self, netns: str, bridge: str, mac: str) -> str:
        """The veth port of a bridge whose other end has the MAC; "" if there is none."""
        for dev in self.ports(netns, bridge):
            peer = self.peers.get((netns, dev))
            if peer is not None and self.mac.get(peer) == mac:
                return dev
        return ""

    def vteps(self, netns: str, dev: str, mac: str) -> list[str]:
        """The outer addresses for a MAC on a VXLAN device: its own entries, else the default entries."""
        return self._fdb.get((netns, dev, mac)) or self._fdb.get((netns, dev, EVERYBODY), [])

    def remotes(self, tunnel: Tunnel, mac: str, via: str, target: str) -> list[str]:
        """The outer addresses to which a tunnel's device sends a packet: by MAC, device, next hop, or inner target."""
        if isinstance(tunnel, Vxlan):
            return self.vteps(tunnel.netns, tunnel.dev, mac)
        if isinstance(tunnel, Geneve):
            return [tunnel.remote] if tunnel.remote else []
        if isinstance(tunnel, Ipip):
            return [via] if via else []
        peer = self.peer(tunnel, target)
        return [peer.endpoint.rpartition(":")[0].strip("[]")] if peer and peer.endpoint else []

    def peer(self, tunnel: WireGuard, target: str) -> WgPeer | None:
        """The peer of a WireGuard device that gets packets to an address: the longest of the allowed networks."""
        address = ip_address(target)
        networks = ((ip_network(text), peer) for peer in self._peers[tunnel.netns, tunnel.dev] for text in peer.allowed)
        fitting = [(network.prefixlen, peer) for network, peer in networks if address in network]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None

    def tunnel_ports(self) -> set[int]:
        """The UDP ports of the tunnels' devices."""
        return {tunnel.port for tunnel in self.tunnels.values() if not isinstance(tunnel, Ipip)}

    def tunnels_in(self, netns: str) -> Iterator[Tunnel]:
        """The tunnels' devices of a namespace."""
        return (tunnel for (where, _), tunnel in self.tunnels.items() if where == netns)
