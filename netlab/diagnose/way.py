"""The way that a packet should take: every interface that it passes, found by walking a State as the kernel would.

Theory of operation
-------------------
``walk`` starts in a namespace and asks, in each that it comes to, what the kernel asks: is the address translated here
(``translate``), is it mine, may I forward, which route, which neighbour, which bridge port, which tunnel.  So one walker
serves every data plane and underlay: what differs between them is in the objects.  It follows one packet of one
connection; what bridges flood besides is not its way.

A ``Hop`` is what an AF_PACKET socket at that interface would see.  ``wrapped``: inside VXLAN.

Limits: no policy, no firewall, no MTU is looked at: this is the way, and not whether it may be gone.  Rules of routing
beyond table main are none of netlab's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from netlab.diagnose.topology import Place, Topology
from netlab.objects import Vxlan

_LONGEST = 64  # interfaces: a TTL would be over


class Hop(NamedTuple):
    """An interface that the packet passes, ``direction`` in or out."""

    netns: str
    interface: str
    direction: str
    wrapped: bool = False

    def __str__(self) -> str:
        return f"{self.interface} in {self.netns}"


@dataclass(frozen=True, slots=True)
class Way:
    """The hops in order.  ``arrives``: the last one's namespace has the address; else ``says`` why it ends there.

    ``netns`` is where it ends, ``target`` the address that it had then; ``translated`` the namespaces that changed it.
    ``left_by``: by namespace, the interface by which it was sent on; ``besides``: hops that may be seen or not.
    """

    hops: tuple[Hop, ...]
    arrives: bool
    says: str
    netns: str
    target: str
    translated: tuple[str, ...]
    left_by: Mapping[str, str]
    besides: frozenset[Hop] = frozenset()


Translations = Mapping[tuple[str, str], str]  # (namespace, address) -> the address that it becomes there


def walk(known: Topology, netns: str, target: str, translate: Translations | None = None) -> Way:
    """The way from a namespace to an address."""
    return _Walk(known, netns, target, translate or {}).run()


class _End(Exception):
    def __init__(self, says: str = "") -> None:
        self.says = says


class _Walk:
    def __init__(self, known: Topology, netns: str, target: str, translate: Translations) -> None:
        self._known, self._translate = known, translate
        self._netns, self._target = netns, target
        self._hops: list[Hop] = []
        self._translated: list[str] = []
        self._left_by: dict[str, str] = {}
        self._besides: set[Hop] = set()
        self._tunnel: Vxlan | None = None  # of the packet that is being carried
        self._outer = ""
        self._inner_mac = ""

    def run(self) -> Way:
        try:
            entered: Place | None = None
            while True:
                entered = self._layer3(entered)
        except _End as end:
            return Way(
                tuple(self._hops),
                not end.says,
                end.says,
                self._netns,
                self._target,
                tuple(self._translated),
                self._left_by,
                frozenset(self._besides),
            )

    def _see(self, netns: str, interface: str, direction: str) -> None:
        if len(self._hops) >= _LONGEST:
            raise _End("it goes round in circles")
        self._hops.append(Hop(netns, interface, direction, self._tunnel is not None))

    # -- addresses ----------------------------------------------------------------------------------------------------

    def _layer3(self, entered: Place | None) -> Place:
        """What a namespace does with a packet that entered by an interface (None: it is its own); where it goes in next."""
        netns, known = self._netns, self._known
        if self._tunnel is None:
            changed = self._translate.get((netns, self._target))
            if changed is not None:
                self._target = changed
                self._translated.append(netns)
        target = self._outer if self._tunnel else self._target
        if known.local(netns, target):
            if self._tunnel is not None:
                return self._unwrap(netns)
            if entered is None:
                self._see(netns, "lo", "out")
                self._see(netns, "lo", "in")
            raise _End
        if entered is not None and not known.forwards(netns, ip_address(target).version):
            raise _End(f"{netns} has not the address {target} and forwards nothing")
        hop = known.route(netns, target)
        if hop is None or (hop.type != "unicast" and not hop.dev):
            raise _End(f"{netns} has no route to {target}" + (f" ({hop.type} {hop.dst})" if hop else ""))
        if self._tunnel is None:
            self._left_by[netns] = hop.dev
        return self._transmit(netns, hop.dev, known.neighbour(netns, hop.dev, hop.via), hop.via)

    def _transmit(self, netns: str, dev: str, mac: str, via: str) -> Place:
        """A frame leaves a namespace's own interface."""
        self._see(netns, dev, "out")
        place = (netns, dev)
        if not mac:
            raise _End(f"nobody in this lab has {via}, which is next from {dev} in {netns}")
        if place in self._known.tunnels:
            return self._wrap(self._known.tunnels[place], mac)
        if place in self._known.bridges:
            return self._bridge(netns, dev, mac, "")
        peer = self._known.peers.get(place)
        if peer is None:
            raise _End(f"{dev} in {netns} leads nowhere")
        return self._receive(peer, mac)

    # -- links --------------------------------------------------------------------------------------------------------

    def _receive(self, place: Place, mac: str) -> Place:
        """A frame comes in at an interface."""
        netns, dev = place
        self._netns = netns
        self._see(netns, dev, "in")
        master = self._known.master(place)
        if not master:
            return place
        return self._bridge(netns, master, mac, dev)

    def _bridge(self, netns: str, bridge: str, mac: str, came_by: str) -> Place:
        """A bridge hands a frame to its own namespace, or to the port that leads to its MAC."""
        known = self._known
        if came_by and known.mac.get((netns, bridge)) == mac:
            mac = self._translated_below(netns, bridge) or mac
        if came_by and known.mac.get((netns, bridge)) == mac:
            self._see(netns, bridge, "in")
            return netns, bridge
        dev = known.behind(netns, bridge, mac)
        port = known.port((netns, dev)) if dev else None
        if port is not None and (dev != came_by or port.hairpin):
            self._see(netns, dev, "out")
            return self._receive(known.peers[netns, dev], mac)
        for other in known.ports(netns, bridge):
            tunnel = known.tunnels.get((netns, other))
            if tunnel is not None and other != came_by:
                self._see(netns, other, "out")
                return self._wrap(tunnel, mac)
        raise _End(f"no port of {bridge} in {netns} leads to {mac}")

    def _translated_below(self, netns: str, bridge: str) -> str:
        """The MAC that br_netfilter gives a frame whose translated target is behind the same bridge: it stays below.

        (br_nf_pre_routing_finish: the route of the new target leads out of the bridge that the frame came in by.)
        """
        known, target = self._known, self._translate.get((netns, self._target))
        if self._tunnel is not None or target is None or known.local(netns, target):
            return ""
        hop = known.route(netns, target)
        if hop is None or hop.dev != bridge or not known.rules_see_bridged(netns, ip_address(target).version):
            return ""
        self._target = target
        self._translated.append(netns)
        self._left_by[netns] = bridge
        # Where the neighbour's header is not cached yet, the frame goes through the bridge's own output.
        self._besides.add(Hop(netns, bridge, "out"))
        return known.neighbour(netns, bridge, hop.via)

    # -- tunnels ------------------------------------------------------------------------------------------------------

    def _wrap(self, tunnel: Vxlan, mac: str) -> Place:
        """A VXLAN device puts the frame into UDP, for the node that it must go to."""
        ends = self._known.vteps(tunnel.netns, tunnel.dev, mac)
        if not ends:
            raise _End(f"{tunnel.dev} in {tunnel.netns} has no forwarding entry for {mac}")
        if len(ends) > 1:  # flooded: the one behind whom the MAC lives is the packet's way
            ends = [one for one in ends if self._has(one, mac)] or ends
        self._tunnel, self._outer, self._inner_mac = tunnel, ends[0], mac
        return self._layer3(None)

    def _has(self, vtep: str, mac: str) -> bool:
        known = self._known
        homes = {netns for netns, _ in known.owners(vtep)}
        for netns, dev in known.mac_owners(mac):
            peer = known.peers.get((netns, dev))
            if netns in homes or (peer is not None and peer[0] in homes):
                return True
        return False

    def _unwrap(self, netns: str) -> Place:
        """The node that the outer packet was for takes the frame out again."""
        wanted = self._tunnel
        assert wanted is not None
        self._tunnel = None
        for one in self._known.tunnels_in(netns):
            if (one.vni, one.port) == (wanted.vni, wanted.port) and (":" in one.local) == (":" in wanted.local):
                return self._receive((netns, one.dev), self._inner_mac)
        raise _End(f"no VXLAN device of {netns} has VNI {wanted.vni} on port {wanted.port}")
