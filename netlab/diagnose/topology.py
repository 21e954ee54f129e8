"""What a State says about where packets go: links, ports, addresses, routes, neighbours, by namespace.

An index over the objects, so that ``way`` can ask the kernel's questions without a kernel: is this address mine, which
route, which MAC, which port.  Everything is looked up lazily: a lab of a thousand Pods has tens of thousands of objects,
and a packet meets a dozen namespaces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from typing import NamedTuple

from netlab.model import Network
from netlab.objects import Addr, Bridge, Fdb, Key, Neigh, Obj, Port, Route, Sysctl, Veth, Vxlan
from netlab.objects.links import Device

EVERYBODY = "00:00:00:00:00:00"  # a VXLAN device's entry for MACs that have none
_FORWARDING = {4: ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"), 6: ("net.ipv6.conf.all.forwarding",)}
_BRIDGED = {4: "net.bridge.bridge-nf-call-iptables", 6: "net.bridge.bridge-nf-call-ip6tables"}

Place = tuple[str, str]  # namespace, interface


class NextHop(NamedTuple):
    """What a route says: ``via`` is the address whose MAC is asked for; ``type`` unicast, or blackhole and the like."""

    dev: str
    via: str
    type: str
    dst: str


class Topology:
    """The index.  ``state`` may be what a lab should be, or what it is."""

    def __init__(self, state: Mapping[Key, Obj]) -> None:
        self._routes: dict[str, list[Route]] = defaultdict(list)
        self._addrs: dict[str, list[Addr]] = defaultdict(list)
        self._tables: dict[tuple[str, int], list[tuple[Network, NextHop]]] = {}
        self._sysctls: dict[tuple[str, str], str] = {}
        self._neighbours: dict[tuple[str, str, str], str] = {}
        self._fdb: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._ports: dict[Place, Port] = {}
        self._members: dict[Place, list[str]] = defaultdict(list)
        self._owners: dict[str, list[Place]] = defaultdict(list)
        self._macs: dict[str, list[Place]] = defaultdict(list)
        self.bridges: dict[Place, Bridge] = {}
        self.tunnels: dict[Place, Vxlan] = {}
        self.peers: dict[Place, Place] = {}
        self.mac: dict[Place, str] = {}
        self.mtu: dict[Place, int] = {}
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
        elif isinstance(obj, Port):
            self._ports[obj.netns, obj.dev] = obj
            self._members[obj.netns, obj.master].append(obj.dev)
        elif isinstance(obj, Sysctl):
            self._sysctls[obj.netns, obj.path] = obj.value
        elif isinstance(obj, Veth):
            ends = [(end.netns, end.name) for end in (obj.end, obj.peer)]
            self.peers |= {ends[0]: ends[1], ends[1]: ends[0]}
            for end, place in zip((obj.end, obj.peer), ends, strict=True):
                self._named(place, end.mac, end.mtu)
        elif isinstance(obj, Device):
            place = (obj.netns, obj.dev)
            if isinstance(obj, Bridge):
                self.bridges[place] = obj
            elif isinstance(obj, Vxlan):
                self.tunnels[place] = obj
            self._named(place, obj.mac, obj.mtu)

    def _named(self, place: Place, mac: str, mtu: int) -> None:
        self.mac[place], self.mtu[place] = mac, mtu
        self._macs[mac].append(place)

    # -- addresses ----------------------------------------------------------------------------------------------------

    def local(self, netns: str, address: str) -> bool:
        """Whether an address is the namespace's own."""
        return ip_address(address).is_loopback or any(where == netns for where, _ in self._owners.get(address, ()))

    def owners(self, address: str) -> list[Place]:
        """The interfaces that have an address."""
        return self._owners.get(address, [])

    def mac_owners(self, mac: str) -> list[Place]:
        """The interfaces that have a MAC address."""
        return self._macs.get(mac, [])

    def address_of(self, netns: str, dev: str, version: int) -> str:
        """The address that what leaves by an interface gets when nothing else says one; "" where it has none."""
        own = [ip_interface(one.address) for one in self._addrs[netns] if one.dev == dev]
        return next((str(one.ip) for one in own if one.version == version), "")

    def own(self, netns: str, dev: str, target: str) -> str:
        """The address that what leaves by an interface gets: the interface's own.

        Where that has none (a Calico Pod's veth), IPv4 takes the first interface's, IPv6 the one most like the target
        (RFC 6724, rule 8).
        """
        wanted = ip_address(target)
        found = self.address_of(netns, dev, wanted.version)
        if found or wanted.version == 4:
            return found or self.address_of(netns, "eth0", 4)
        own = (ip_interface(one.address).ip for one in self._addrs[netns])
        near = [one for one in own if one.version == 6]
        return str(max(near, key=lambda one: -(int(one) ^ int(wanted)).bit_length())) if near else ""

    def source_for(self, netns: str, target: str) -> str:
        """The address that a namespace itself sends from to a target; "" where it has no route."""
        hop = self.route(netns, target)
        if hop is None:
            return ""
        for one in self._routes[netns]:
            if one.src and one.dev == hop.dev and one.dst == hop.dst:
                return one.src
        return self.own(netns, hop.dev, target)

    # -- routes -------------------------------------------------------------------------------------------------------

    def forwards(self, netns: str, version: int) -> bool:
        """Whether a namespace passes on what is not for itself."""
        return any(self._sysctls.get((netns, path)) == "1" for path in _FORWARDING[version])

    def rules_see_bridged(self, netns: str, version: int) -> bool:
        """Whether br_netfilter shows a namespace's rules what its bridges carry."""
        return self._sysctls.get((netns, _BRIDGED[version])) == "1"

    def route(self, netns: str, target: str) -> NextHop | None:
        """The route to a target: the longest prefix, of several the first metric."""
        address = ip_address(target)
        for network, hop in self._table(netns, address.version):
            if address in network:
                return hop if hop.via else hop._replace(via=target)
        return None

    def _table(self, netns: str, version: int) -> list[tuple[Network, NextHop]]:
        key = netns, version
        if key not in self._tables:
            found = [
                (network, one.metric, NextHop(one.dev, one.via, one.type, one.dst))
                for one in self._routes[netns]
                if not one.twin and (network := ip_network(one.dst)).version == version
            ]
            for one in self._addrs[netns]:
                own = ip_interface(one.address)
                if own.version == version and one.prefix_route and own.network.prefixlen < own.max_prefixlen:
                    found.append((own.network, 0, NextHop(one.dev, "", "unicast", str(own.network))))
            found.sort(key=lambda row: (-row[0].prefixlen, row[1]))
            self._tables[key] = [(network, hop) for network, _, hop in found]
        return self._tables[key]

    # -- links --------------------------------------------------------------------------------------------------------

    def neighbour(self, netns: str, dev: str, address: str) -> str:
        """The MAC that a next hop has: a permanent entry's, or the one that would answer; "" where nobody would."""
        known = self._neighbours.get((netns, dev, address))
        if known:
            return known
        peer = self.peers.get((netns, dev))
        if peer is not None and peer not in self._ports:
            return self.mac.get(peer, "")  # a cable has one other end, and that answers for what it routes to
        owners = [place for place in self.owners(address) if place[0] != netns and place in self.mac]
        return self.mac[owners[0]] if owners else ""

    def master(self, place: Place) -> str:
        """The bridge that an interface is a port of; "" for none."""
        port = self._ports.get(place)
        return port.master if port else ""

    def port(self, place: Place) -> Port | None:
        """The port that an interface is."""
        return self._ports.get(place)

    def ports(self, netns: str, bridge: str) -> list[str]:
        """The ports of a bridge."""
        return self._members.get((netns, bridge), [])

    def behind(self, netns: str, bridge: str, mac: str) -> str:
        """The veth port of a bridge whose other end has the MAC; "" where there is none."""
        for dev in self.ports(netns, bridge):
            peer = self.peers.get((netns, dev))
            if peer is not None and self.mac.get(peer) == mac:
                return dev
        return ""

    def vteps(self, netns: str, dev: str, mac: str) -> list[str]:
        """The outer addresses that a VXLAN device sends a MAC's frames to: its own entry's, else everybody's."""
        return self._fdb.get((netns, dev, mac)) or self._fdb.get((netns, dev, EVERYBODY), [])

    def tunnels_in(self, netns: str) -> Iterator[Vxlan]:
        """The VXLAN devices of a namespace."""
        return (one for (where, _), one in self.tunnels.items() if where == netns)
