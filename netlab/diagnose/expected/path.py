"""The expected path of a packet: its interfaces, found by walking a State as the kernel would.

Theory of operation
-------------------
``walk`` starts in a namespace.  In each namespace it takes the kernel's decisions in order: translation
(``translate``), local delivery, forwarding, route, neighbour, bridge port, tunnel.  So one walker serves every data
plane and underlay: they differ only in their objects.  It follows one packet of one connection; flooded copies are not
on the path.

A ``Hop`` is what an AF_PACKET socket at that interface would see.  ``encapsulated``: inside a tunnel's packet.

Limits: policies, firewalls and MTUs are ignored: this is the path, not the permission to take it.  netlab has no
routing rules beyond table main.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from netlab.diagnose.expected.topology import Interface, Topology
from netlab.objects import Geneve, Ipip, Vxlan, WireGuard
from netlab.objects.tunnels import Tunnel
from netlab.planes import ENCAPSULATIONS, Encapsulation
from netlab.tuples import NamedTuple
from netlab.values import dataclass

_LONGEST = 64  # interfaces; a longer path is a loop


class Hop(NamedTuple):
    """An interface on the path, ``direction`` in or out."""

    netns: str
    interface: str
    direction: str
    encapsulated: bool = False

    @property
    def at(self) -> Interface:
        """The namespace and the interface."""
        return self.netns, self.interface

    def __str__(self) -> str:
        return f"{self.interface} in {self.netns}"


@dataclass(frozen=True, slots=True)
class Path:
    """The hops in order.  ``arrives``: the last namespace has the address; else ``reason`` tells why the path ends.

    ``netns`` is the last namespace, ``target`` the address by then; ``translated`` the namespaces that changed the
    target. ``left_by``: by namespace, the first egress interface; ``besides``: optional hops; ``outer``: the tunnels' addresses; ``encapsulation``: their kind.
    """

    hops: tuple[Hop, ...]
    arrives: bool
    reason: str
    netns: str
    target: str
    translated: tuple[str, ...]
    left_by: Mapping[str, str]
    besides: frozenset[Hop] = frozenset()
    outer: tuple[str, ...] = ()
    encapsulation: str = ""

    @property
    def visible(self) -> tuple[Hop, ...]:
        """The hops at which the packet can be recognised: where it is encrypted, it cannot."""
        encrypted = self.encapsulation == Encapsulation.WIREGUARD.value
        return tuple(hop for hop in self.hops if not (encrypted and hop.encapsulated))


Translations = Mapping[tuple[str, str], str]  # (namespace, address) -> translated address


def walk(topology: Topology, netns: str, target: str, translate: Translations | None = None) -> Path:
    """The path from a namespace to an address."""
    return _Walk(topology, netns, target, translate or {}).run()


class _End(Exception):
    def __init__(self, reason: str = "") -> None:
        self.reason = reason


class _Walk:
    def __init__(self, topology: Topology, netns: str, target: str, translate: Translations) -> None:
        self._topology, self._translate = topology, translate
        self._netns, self._target = netns, target
        self._hops: list[Hop] = []
        self._translated: list[str] = []
        self._left_by: dict[str, str] = {}
        self._besides: set[Hop] = set()
        self._outers: dict[str, None] = {}
        self._tunnel: Tunnel | None = None  # of the encapsulated packet
        self._outer = self._local = self._encapsulation = ""
        self._inner_mac = ""

    def run(self) -> Path:
        try:
            entered: Interface | None = None
            while True:
                entered = self._layer3(entered)
        except _End as end:
            return Path(
                hops=tuple(self._hops),
                arrives=not end.reason,
                reason=end.reason,
                netns=self._netns,
                target=self._target,
                translated=tuple(self._translated),
                left_by=self._left_by,
                besides=frozenset(self._besides),
                outer=tuple(self._outers),
                encapsulation=self._encapsulation,
            )

    def _see(self, netns: str, interface: str, direction: str) -> None:
        if len(self._hops) >= _LONGEST:
            raise _End("it goes in a loop")
        self._hops.append(Hop(netns, interface, direction, self._tunnel is not None))

    # -- addresses ----------------------------------------------------------------------------------------------------

    def _layer3(self, entered: Interface | None) -> Interface:
        """Route a packet received by an interface (None: locally sent); return the next ingress interface."""
        netns, topology = self._netns, self._topology
        if self._tunnel is None:
            changed = self._translate.get((netns, self._target))
            if changed is not None:
                self._target = changed
                self._translated.append(netns)
        target = self._outer if self._tunnel else self._target
        if topology.local(netns, target):
            if self._tunnel is not None:
                return self._unwrap(netns)
            if entered is None:
                self._see(netns, "lo", "out")
                self._see(netns, "lo", "in")
            raise _End
        if entered is not None and not topology.forwards(netns, ip_address(target).version):
            raise _End(f"{netns} does not have the address {target}, and does not forward")
        hop = topology.route(netns, target)
        if hop is None or (hop.type != "unicast" and not hop.dev):
            raise _End(f"{netns} has no route to {target}" + (f" ({hop.type} {hop.dst})" if hop else ""))
        if self._tunnel is None:
            self._left_by.setdefault(netns, hop.dev)
        return self._transmit(netns, hop.dev, topology.neighbour(netns, hop.dev, hop.via), hop.via)

    def _transmit(self, netns: str, dev: str, mac: str, via: str) -> Interface:
        """Send a frame by a namespace's own interface."""
        self._see(netns, dev, "out")
        interface = (netns, dev)
        tunnel = self._topology.tunnels.get(interface)
        if isinstance(tunnel, (Ipip, WireGuard)):
            return self._wrap(tunnel, "", via)
        if not mac:
            raise _End(f"nobody in this lab has {via}, which is next from {dev} in {netns}")
        if tunnel is not None:
            return self._wrap(tunnel, mac)
        if interface in self._topology.bridges:
            return self._bridge(netns, dev, mac, "")
        peer = self._topology.peers.get(interface)
        if peer is None:
            raise _End(f"{dev} in {netns} leads nowhere")
        return self._receive(peer, mac)

    # -- links --------------------------------------------------------------------------------------------------------

    def _receive(self, interface: Interface, mac: str) -> Interface:
        """Receive a frame at an interface."""
        netns, dev = interface
        self._netns = netns
        self._see(netns, dev, "in")
        master = self._topology.master(interface)
        if not master:
            return interface
        return self._bridge(netns, master, mac, dev)

    def _bridge(self, netns: str, bridge: str, mac: str, came_by: str) -> Interface:
        """Deliver a frame to the bridge's namespace, or to the port of its MAC."""
        topology = self._topology
        if came_by and topology.mac.get((netns, bridge)) == mac:
            mac = self._translated_below(netns, bridge) or mac
        if came_by and topology.mac.get((netns, bridge)) == mac:
            self._see(netns, bridge, "in")
            return netns, bridge
        dev = topology.behind(netns, bridge, mac)
        port = topology.port((netns, dev)) if dev else None
        if port is not None and (dev != came_by or port.hairpin):
            self._see(netns, dev, "out")
            return self._receive(topology.peers[netns, dev], mac)
        for other_port in topology.ports(netns, bridge):
            tunnel = topology.tunnels.get((netns, other_port))
            if tunnel is not None and other_port != came_by:
                self._see(netns, other_port, "out")
                return self._wrap(tunnel, mac)
        raise _End(f"no port of {bridge} in {netns} leads to {mac}")

    def _translated_below(self, netns: str, bridge: str) -> str:
        """The MAC that br_netfilter sets if the translated target is behind the same bridge.

        (br_nf_pre_routing_finish: the new target's route leads out of the bridge that received the frame.)
        """
        topology, target = self._topology, self._translate.get((netns, self._target))
        if self._tunnel is not None or target is None or topology.local(netns, target):
            return ""
        hop = topology.route(netns, target)
        if hop is None or hop.dev != bridge or not topology.rules_see_bridged(netns, ip_address(target).version):
            return ""
        self._target = target
        self._translated.append(netns)
        self._left_by.setdefault(netns, bridge)
        # Without a cached neighbour header, the frame takes the bridge's own output path.
        self._besides.add(Hop(netns, bridge, "out"))
        return topology.neighbour(netns, bridge, hop.via)

    # -- tunnels ------------------------------------------------------------------------------------------------------

    def _wrap(self, tunnel: Tunnel, mac: str, via: str = "") -> Interface:
        """Encapsulate a frame or a packet, for the node of its MAC, of its next hop or of its target."""
        ends = self._topology.remotes(tunnel, mac, via, self._target)
        if not ends:
            lacks = f"forwarding entry for {mac}" if mac else f"peer for {self._target}"
            raise _End(f"{tunnel.dev} in {tunnel.netns} has no {lacks}")
        if len(ends) > 1:  # flooded: the path is to the node that has the MAC
            ends = [vtep for vtep in ends if self._has(vtep, mac)] or ends
        self._tunnel, self._outer, self._inner_mac = tunnel, ends[0], mac
        local = self._topology.tunnel_source(tunnel, ends[0])
        self._outers |= dict.fromkeys(end for end in (local, ends[0]) if end)
        self._local, self._encapsulation = local, ENCAPSULATIONS[tunnel.kind].value
        return self._layer3(None)

    def _has(self, vtep: str, mac: str) -> bool:
        topology = self._topology
        homes = {netns for netns, _ in topology.owners(vtep)}
        for netns, dev in topology.mac_owners(mac):
            peer = topology.peers.get((netns, dev))
            if netns in homes or (peer is not None and peer[0] in homes):
                return True
        return False

    def _unwrap(self, netns: str) -> Interface:
        """Decapsulate the inner frame at the outer packet's target."""
        wanted = self._tunnel
        assert wanted is not None
        self._tunnel = None
        for tunnel in self._topology.tunnels_in(netns):
            if self._takes(tunnel, wanted):
                return self._receive((netns, tunnel.dev), self._inner_mac)
        kind = ENCAPSULATIONS[wanted.kind].value
        if isinstance(wanted, (Vxlan, Geneve)):
            raise _End(f"no {kind} device of {netns} has VNI {wanted.vni} on port {wanted.port}")
        raise _End(f"no {kind} device of {netns} takes packets from {self._local}")

    def _takes(self, tunnel: Tunnel, wanted: Tunnel) -> bool:
        """Whether a device accepts the packets that the device ``wanted`` sends."""
        if isinstance(tunnel, Vxlan) and isinstance(wanted, Vxlan):
            same = (":" in tunnel.local) == (":" in wanted.local)
            return same and (tunnel.vni, tunnel.port) == (wanted.vni, wanted.port)
        if isinstance(tunnel, Geneve) and isinstance(wanted, Geneve):
            return (tunnel.vni, tunnel.port, tunnel.remote) == (wanted.vni, wanted.port, self._local)
        if isinstance(tunnel, Ipip) and isinstance(wanted, Ipip):
            return tunnel.local in ("any", self._outer)
        if isinstance(tunnel, WireGuard) and isinstance(wanted, WireGuard):
            peer = self._topology.peer(wanted, self._target)
            return peer is not None and peer.remote == tunnel.netns and tunnel.dev == wanted.dev
        return False
