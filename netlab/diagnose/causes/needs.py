"""The objects that a traced packet needed or met: its interfaces, bridges, addresses, MACs and routing lookups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from ipaddress import ip_address

from netlab.diagnose.expected.iprule import Lookup
from netlab.diagnose.expected.topology import Interface
from netlab.diagnose.sightings.correlate import FRAME, REPLY, REQUEST
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT
from netlab.evidence.records import RULES as RULES_SOURCE
from netlab.objects import Ipip, Op, Route, Vxlan
from netlab.objects.ip import MAIN
from netlab.objects.tunnels import Tunnel
from netlab.wire.packets import IPIP, UDP, Packet


class Needs:
    """What the packet needed, from its expected paths and from its sightings off them."""

    def __init__(self, story: Story, lost_in: str) -> None:
        self.story, self.lost_in = story, lost_in
        self.topology = story.topology
        paths = [story.round_trip.request]
        if story.arrived and story.round_trip.reply is not None:
            paths.append(story.round_trip.reply)
        passed = [(hop.at, hop.direction == OUT) for path in paths for hop in path.hops]
        for left, frames in ((story.request_left, story.request), (story.reply_left, story.reply)):
            if left is not None and left.went is not None:  # else the extra sightings are a bridge's copies
                passed += [(event.at, event.direction == OUT) for event in frames]
        self.left_by = {interface for interface, out in passed if out}
        self.came_by = {interface for interface, out in passed if not out}
        self.hops = self.left_by | self.came_by
        self.bridges = {(netns, bridge) for netns, dev in self.hops if (bridge := self.topology.master((netns, dev)))}
        self.namespaces = {netns for netns, _ in self.hops} | {story.recording.probe.netns}

    @cached_property
    def order(self) -> dict[str, int]:
        """The namespaces in the order of the path."""
        at = (hop.at for path in self.story.round_trip.paths for hop in path.hops)
        seen = (event.at for event in self.story.request)
        return {netns: number for number, netns in enumerate(dict.fromkeys(netns for netns, _ in (*at, *seen)))}

    @cached_property
    def addresses(self) -> frozenset[str]:
        """The addresses of the packets, with those of planned tunnels, and the one that the sender should have used."""
        tunnels = {
            end for netns in self.ends for packet in self._tunnels(netns) for end in (packet.source, packet.target)
        }
        return self._inner | tunnels

    @cached_property
    def _inner(self) -> frozenset[str]:
        probe = self.story.recording.probe
        own = self.topology.source_for(probe.netns, probe.address)
        return self.story.addresses | ({own} if own else set())

    @cached_property
    def vias(self) -> frozenset[str]:
        """The next hops of every address in every namespace of the path."""
        hops = (self.topology.route(netns, address) for netns in self.namespaces for address in self.addresses)
        return frozenset(hop.via for hop in hops if hop is not None)

    @cached_property
    def macs(self) -> frozenset[str]:
        """The MACs that frames were sent to, and those that they should have been sent to."""
        frames = (*self.story.request, *self.story.reply)
        seen = {layer.link.target for event in frames for layer in event.packet.layers if layer.link}
        for netns, dev in self.left_by:
            for address in self._inner:
                hop = self.topology.route(netns, address)
                if hop is not None and hop.dev == dev:
                    seen.add(self.topology.neighbour(netns, dev, hop.via))
        return frozenset(seen - {""})

    @cached_property
    def ends(self) -> frozenset[str]:
        """The namespaces that send packets of their own: the sender, the target, and those that encapsulate."""
        trip = self.story.round_trip
        tunnels = {netns for netns, dev in self.left_by if (netns, dev) in self.topology.tunnels}
        return frozenset({self.story.recording.probe.netns, trip.request.netns} | tunnels)

    @cached_property
    def spots(self) -> frozenset[Interface]:
        """The interfaces where the packet was lost: the last sighting, the next expected hop, the kernel's drop."""
        story = self.story
        frames = story.reply or story.request
        spots = {frames[-1].at} if frames else set()
        for left in (story.request_left, story.reply_left):
            if left is not None and left.expected is not None:
                spots.add(left.expected.at)
        return frozenset(spots | {event.at for event in story.drops})

    @cached_property
    def chains(self) -> frozenset[tuple[str, str, str]] | None:
        """The nftables chains that the packet passed (namespace, table, chain); None if rules were not traced."""
        if not self.story.source(RULES_SOURCE).on:
            return None
        seen = self.story.recording.rules_seen
        return frozenset((rule.netns, f"{rule.family} {rule.table}", rule.chain) for rule in seen)

    # -- routing ------------------------------------------------------------------------------------------------------

    @cached_property
    def lookups(self) -> dict[str, list[Lookup]]:
        """By namespace, the routing decisions about the packets: as they came, and as they were sent."""
        lookups: dict[str, list[Lookup]] = defaultdict(list)
        probe, trip = self.story.recording.probe, self.story.round_trip
        own = Packet(
            version=ip_address(probe.address).version, source=trip.source, target=probe.address,
            protocol=_NUMBERS.get(probe.protocol, 0), ports=bool(probe.port), sport=probe.local_port, dport=probe.port,
        )  # fmt: skip
        lookups[probe.netns].append(Lookup(own, "lo"))
        for event in self.story.events:
            if event.kind != FRAME or event.role not in (REQUEST, REPLY):
                continue
            for depth, packet in enumerate(event.packet.layers):
                if event.direction == OUT and (depth or event.packet.inner is None):
                    # What a namespace sends itself was looked up with these addresses, but for a translation.
                    if event.netns in self.ends:
                        lookups[event.netns].append(Lookup(packet, "lo"))
                elif not (depth and event.packet.inner):
                    came = event.interface if event.direction != OUT else "lo"
                    lookups[event.netns].append(Lookup(packet, came))
        for event in self.story.drops:  # by then its addresses may be translated
            lookups[event.netns].append(Lookup(event.packet.innermost, event.interface or "lo"))
        for netns in self.ends - {probe.netns}:
            lookups[netns] += [Lookup(packet, "lo") for packet in self._tunnels(netns)]
        if not self.story.events:
            for netns, lookup in self._planned(own):
                lookups[netns].append(lookup)
        return lookups

    def _planned(self, own: Packet) -> Iterator[tuple[str, Lookup]]:
        """The decisions that the nodes take on the expected paths, by the addresses that the ends see."""
        trip = self.story.round_trip
        request = replace(own, target=trip.request.target or own.target)
        back = trip.reply.target if trip.reply else ""
        reply = replace(request, source=request.target, target=back, sport=own.dport, dport=own.sport)
        for path, packets in zip(trip.paths, ((request,), (reply, replace(reply, target=own.source))), strict=False):
            for hop in path.hops:
                if hop.direction != OUT and not hop.encapsulated:
                    yield from ((hop.netns, Lookup(packet, hop.interface)) for packet in packets if packet.target)
            yield from ((path.hops[0].netns, Lookup(packet, "lo")) for packet in packets[:1] if path.hops)

    def _tunnels(self, netns: str) -> Iterator[Packet]:
        """The tunnel's packets that a namespace sends."""
        for tunnel in self.topology.tunnels_in(netns):
            for target in self._remotes(tunnel):
                version = ip_address(target).version
                protocol, port = (IPIP, 0) if isinstance(tunnel, Ipip) else (UDP, tunnel.port)
                source = self.topology.tunnel_source(tunnel, target)
                yield Packet(version=version, source=source, target=target, protocol=protocol, dport=port)

    def _remotes(self, tunnel: Tunnel) -> Iterator[str]:
        """The outer addresses to which a device sends the packets."""
        if isinstance(tunnel, Vxlan):
            for mac in self.macs:
                yield from self.topology.vteps(tunnel.netns, tunnel.dev, mac)
            return
        for address in self._inner:
            hop = self.topology.route(tunnel.netns, address)
            if hop is not None and hop.dev == tunnel.dev:
                yield from self.topology.remotes(tunnel, "", hop.via, address)

    def other_routes(self, operations: tuple[Op, ...]) -> dict[tuple[str, int], list[Route]]:
        """The foreign routes beside table main, by namespace and table."""
        routes: dict[tuple[str, int], list[Route]] = defaultdict(list)
        for op in operations:
            if isinstance(op.obj, Route) and op.obj.table != MAIN:
                routes[op.obj.netns, op.obj.table].append(op.obj)
        return routes


_NUMBERS = {"TCP": 6, "UDP": 17}
