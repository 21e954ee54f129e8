"""An interpreted recording: sightings, expected paths, and the progress of request and reply.

``tell`` makes a ``Story``, the common input of findings, text and JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cached_property
from ipaddress import ip_address

from netlab.diagnose.annotate import annotate
from netlab.diagnose.expected.expect import Divergence, Expecter, RoundTrip, detour, divergence
from netlab.diagnose.expected.path import Hop, Path
from netlab.diagnose.expected.topology import Topology
from netlab.diagnose.rules.rulebook import Meaning, RuleBook
from netlab.diagnose.sightings.correlate import DROP, ERROR, FRAME, NEIGHBOUR, REPLY, REQUEST, RULES, Event, correlate
from netlab.evidence.records import IN, OTHERHOST, OUT, Recording, Source
from netlab.model import Cluster
from netlab.objects import Key, Obj
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import Flow
from netlab.planes import Encapsulation
from netlab.values import dataclass
from netlab.wire import packets

# Reasons and functions of consumed packets: delivered, or freed with their closed socket.
_SPENT = frozenset(
    ("QUEUE_PURGE", "TCP_OLD_DATA", "TCP_CLOSE", "TCP_RESET", "TCP_OFOMERGE", "CONSUMED", "NOT_DROPPED_YET")
)
_SPENT_IN = ("ping_rcv", "icmp_rcv", "icmpv6_rcv", "raw_rcv")


@dataclass(frozen=True)
class Story:
    """The interpreted recording of a traced packet.

    ``events`` are annotated; ``flow`` is the request's flow, ``round_trip`` the expected paths.
    """

    recording: Recording
    cluster: Cluster
    want: Mapping[Key, Obj] = field(repr=False)
    flow: Flow
    round_trip: RoundTrip
    events: tuple[Event, ...]
    topology: Topology = field(repr=False)
    endpoints: Endpoints = field(repr=False)
    book: RuleBook = field(repr=False)

    @property
    def tunnel(self) -> str:
        """The name of the lab's encapsulation; where it has none, only foreign VXLAN devices are expected."""
        return self.cluster.plane.encapsulation.value or Encapsulation.VXLAN.value

    # -- the packets --------------------------------------------------------------------------------------------------

    @cached_property
    def request(self) -> tuple[Event, ...]:
        """The sightings of the first request; if a reply came, of the repetition that it answers."""
        first = self._first(REQUEST)
        if self.recording.probe.outcome != "open" or not self.reply:
            return first
        sent = {number: self.sightings(number) for number in self.tries}
        before = [frames for frames in sent.values() if frames[0].time <= self.reply[0].time]
        return tuple(before[-1]) if before else first

    @cached_property
    def reply(self) -> tuple[Event, ...]:
        """The sightings of the first reply."""
        return self._first(REPLY)

    @cached_property
    def segment(self) -> Event | None:
        """The largest data segment of an established connection, if not all data was acknowledged."""
        probe = self.recording.probe
        frames = [event for event in self.events if event.kind == FRAME and event.netns == probe.netns]
        made = any(event.role == REPLY and not _resets(event.packet.innermost) for event in frames)
        if probe.protocol != "TCP" or not probe.size or probe.outcome == "open" or not made:
            return None
        data = [
            event
            for event in frames
            if event.role == REQUEST and event.direction == OUT and event.packet.innermost.size
        ]
        return max(data, key=lambda event: event.packet.innermost.size, default=None)

    def _first(self, role: str) -> tuple[Event, ...]:
        frames = [event for event in self.events if event.kind == FRAME and event.role == role]
        if self.segment is not None:  # the lost segment is the request, not the handshake
            sent = self.segment.packet.innermost
            end = sent.seq + sent.size
            frames = [event for event in frames
                      if (event.number == self.segment.number if role == REQUEST
                          else (event.packet.innermost.ack - end) & 0xFFFFFFFF < 1 << 31)]  # fmt: skip
        return tuple(event for event in frames if event.number == frames[0].number)

    def sightings(self, number: int) -> list[Event]:
        """The frames with a packet's number."""
        return [event for event in self.events if event.kind == FRAME and event.number == number]

    @cached_property
    def tries(self) -> tuple[int, ...]:
        """The numbers of the request and of its repetitions, in the order of their sending."""
        frames = [event for event in self.events if event.kind == FRAME and event.role == REQUEST]
        first = self._first(REQUEST)
        like = [event for event in frames if _alike(event, first[0].packet.innermost)] if first else []
        return tuple(dict.fromkeys(event.number for event in like))

    @property
    def attempts(self) -> int:
        """How often the request was sent."""
        return len(self.tries)

    @cached_property
    def errors(self) -> tuple[Event, ...]:
        """ICMP errors, each at its first sighting."""
        errors: dict[int, Event] = {}
        for event in self.events:
            if event.role == ERROR and event.kind == FRAME and event.packet.innermost.is_error:
                errors.setdefault(event.number, event)
        return tuple(errors.values())

    @cached_property
    def drops(self) -> tuple[Event, ...]:
        """Dropped packets, without consumed packets and flooded copies of a delivered packet."""
        drops = []
        for event in self.events:
            assert event.kind != DROP or event.drop is not None
            if event.kind != DROP or event.drop is None:
                continue
            spent = event.drop.reason in _SPENT or event.drop.function.startswith(_SPENT_IN)
            # A consumed reset is freed without a reason.
            consumed = _resets(event.packet.innermost) and event.drop.reason in ("", "NOT_SPECIFIED")
            if not spent and not consumed and not self._copy(event):
                drops.append(event)
        return tuple(drops)

    def _copy(self, event: Event) -> bool:
        """Whether it is a bridge's flooded copy, while the packet itself went on."""
        path = self.round_trip.reply if event.role == REPLY else self.round_trip.request
        arrived = self.arrived if event.role == REQUEST else self.answered
        if event.drop is not None and event.drop.reason == "OTHERHOST" and arrived:
            return True
        if path is None or any(hop.at == event.at for hop in path.hops):
            return False
        return arrived and event.role in (REQUEST, REPLY) and bool(event.interface)

    @cached_property
    def verdicts(self) -> tuple[Event, ...]:
        """Traversals in which nftables dropped or rejected a packet."""
        return tuple(
            event
            for event in self.events
            if event.kind == RULES and event.judgement and event.judgement.verdict == "drop"
        )

    def meaning(self, event: Event) -> Meaning | None:
        """The meaning of a traversal."""
        judged = event.judgement
        return self.book.meaning(event.netns, judged, event.packet.innermost) if judged else None

    # -- neighbours ---------------------------------------------------------------------------------------------------

    @cached_property
    def neighbour_requests(self) -> dict[tuple[str, str, str], int]:
        """Neighbour requests by (namespace, interface, address), with their count."""
        requests: dict[tuple[str, str, str], int] = {}
        for event in self._neighbours:
            arp = event.packet.innermost.arp
            origin = event.direction == OUT and event.packet.inner is None and arp is not None and arp.request
            origin = origin and event.packet.source not in (
                "::",
                "0.0.0.0",
            )  # duplicate address detection expects no reply
            sender = event.packet.link.source if event.packet.link else ""
            if arp is None or not origin or self.topology.mac.get(event.at, sender) != sender:
                continue
            key = event.netns, event.interface, arp.asked
            requests[key] = requests.get(key, 0) + 1
        return requests

    @cached_property
    def neighbour_replies(self) -> dict[str, set[str]]:
        """By address, the MACs in neighbour replies."""
        replies: dict[str, set[str]] = {}
        for event in self._neighbours:
            arp = event.packet.innermost.arp
            if arp is not None and not arp.request and arp.mac:
                replies.setdefault(arp.asked, set()).add(arp.mac)
        return replies

    @cached_property
    def unresolved(self) -> tuple[tuple[str, str, str], ...]:
        """Neighbour requests without a reply at their sender."""
        back = {
            (event.netns, arp.asked)
            for event in self._neighbours
            if (arp := event.packet.innermost.arp) is not None and not arp.request and event.direction != OUT
        }
        version = 6 if ":" in self.recording.probe.address else 4
        versions = {version} | {layer.version for event in self.request for layer in event.packet.layers}
        return tuple(
            key
            for key in self.neighbour_requests
            if (key[0], key[2]) not in back and (6 if ":" in key[2] else 4) in versions
        )

    @cached_property
    def _neighbours(self) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.role == NEIGHBOUR and event.kind == FRAME)

    # -- how far ------------------------------------------------------------------------------------------------------

    @cached_property
    def arrived(self) -> bool:
        """Whether the request reached its target: it was seen there, or the reply came from there."""
        answerer = self.reply[0].netns if self.reply else ""
        if self.recording.probe.outcome == "open" or answerer == self.round_trip.request.netns:
            return True
        path = self.round_trip.request
        if not path.arrives or not path.hops:
            return False
        return path.hops[-1] in hops(self.request, self.topology)

    @cached_property
    def arrived_at_target(self) -> bool:
        """Whether the request was seen in its target's namespace."""
        path = self.round_trip.request
        return path.arrives and any(event.netns == path.netns for event in self.request if path.hops and self.arrived)

    @cached_property
    def answered(self) -> bool:
        """Whether the reply reached the sender."""
        home = self.recording.probe.netns
        back = [
            event for event in self.reply if event.netns == home and (event.direction != OUT or event.interface == "lo")
        ]
        asked = self.recording.probe.address
        proper = [event.packet.innermost for event in back if event.packet.innermost.source == asked]
        return self.recording.probe.outcome == "open" or any(not _resets(packet) for packet in proper)

    @cached_property
    def request_left(self) -> Divergence | None:
        """The request's divergence from its path."""
        return _left(self.round_trip.request, self.request, self.topology, self.frames.lost)

    @cached_property
    def reply_left(self) -> Divergence | None:
        """The reply's divergence from its path."""
        path = self.round_trip.reply
        # A reply from another namespace (a rule's reset, the wrong Pod) has another path.
        if path is None or not self.reply or self.reply[0].netns != self.round_trip.request.netns:
            return None
        return _left(path, self.reply, self.topology, self.frames.lost)

    # -- sources ------------------------------------------------------------------------------------------------------

    def source(self, name: str) -> Source:
        """A source of evidence; off if the recording lacks it."""
        sources = (source for source in self.recording.sources if source.name == name)
        return next(sources, Source(name, False, why="it was not asked for"))

    @property
    def frames(self) -> Source:
        return self.source("frames")

    def counters(self, netns: str) -> Mapping[str, int]:
        """The changed counters of a namespace."""
        return self.recording.counters.get(netns, {})

    @cached_property
    def concerned(self) -> frozenset[str]:
        """The namespaces on the packet's paths, in which a fault can affect it."""
        namespaces = {self.recording.probe.netns} | {event.netns for event in self.events if event.netns}
        namespaces |= {hop.netns for path in self.round_trip.paths for hop in path.hops}
        for address in self.addresses:
            namespaces |= {netns for netns, _ in self.topology.owners(address)}
        return frozenset(namespaces)

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Every address of the packets and of their tunnels."""
        addresses = {
            self.recording.probe.address,
            self.round_trip.backend,
            self.round_trip.source,
            self.round_trip.seen_as,
        }
        addresses |= {address for path in self.round_trip.paths for address in path.outer}
        for event in self.events:
            if event.role in (REQUEST, REPLY):
                addresses |= {end for layer in event.packet.layers for end in (layer.source, layer.target)}
        return frozenset(addresses - {""})


def tell(recording: Recording, cluster: Cluster, want: Mapping[Key, Obj]) -> Story:
    """Interpret a recording; ``want`` is the lab's desired state."""
    expecter = Expecter(cluster, want)
    book = RuleBook(cluster, want)
    events = annotate(correlate(recording), expecter.topology, book)
    probe = recording.probe
    flow = expecter.flow(probe.netns, probe.address, probe.port, probe.protocol)
    source = expecter.source(flow, _proper(probe.local, probe.address))
    if probe.crafted:
        source = _proper(probe.local, probe.address)
    planned = expecter.round_trip(flow, source=source, backend=_backend(expecter, flow, events))
    return Story(
        recording=recording,
        cluster=cluster,
        want=want,
        flow=flow,
        round_trip=planned,
        events=events,
        topology=expecter.topology,
        endpoints=expecter.endpoints,
        book=book,
    )


def _backend(expecter: Expecter, flow: Flow, events: Iterable[Event]) -> str:
    """Which of its possible targets a request got: by its own address, else by the namespace that replied.

    A node that translates to itself delivers the request before it could be seen with its new target.
    """
    choices = [address for address, _ in expecter.choices(flow)]
    frames = [event for event in events if event.kind == FRAME]
    targets = {event.packet.innermost.target for event in frames if event.role == REQUEST}
    if seen := next((address for address in choices if address in targets), ""):
        return seen
    home = next((event.netns for event in frames if event.role == REPLY), "")
    owned = (address for address in choices if home in (netns for netns, _ in expecter.topology.owners(address)))
    return next(owned, "")


def hops(sightings: Iterable[Event], topology: Topology) -> list[Hop]:
    """The hops of a packet's sightings, in order.

    A bridge port takes frames for any MAC; elsewhere a frame for another MAC is not received.
    """
    passed: list[Hop] = []
    for event in sightings:
        if any(layer.offset for layer in event.packet.layers):
            continue  # the first fragment shows the path; later ones may overlap it in time
        direction = OUT if event.direction == OUT else IN
        if event.direction == OTHERHOST and not topology.master(event.at):
            direction = OTHERHOST
        hop = Hop(event.netns, event.interface, direction, event.packet.inner is not None)
        if not passed or passed[-1] != hop:  # fragments of a packet are one hop
            passed.append(hop)
    return passed


def _left(path: Path, frames: tuple[Event, ...], topology: Topology, lost: int) -> Divergence | None:
    seen = hops(frames, topology)
    left = divergence(path.visible, seen, besides=path.besides, lost=lost > 0)
    router = _strange_router(path, frames) if left is None else ""
    return detour(path.visible, seen, router) if router else left


def _strange_router(path: Path, frames: Iterable[Event]) -> str:
    """A namespace off the path that forwarded the packet: there it came in and went out with a lower TTL; else "".

    A bridge's flooded copy may pass such a namespace too, but nothing routes it.
    """
    passed = {hop.netns for hop in (*path.hops, *path.besides)}
    came: dict[str, tuple[int, ...]] = {}
    for event in frames:
        limits = tuple(layer.hops for layer in event.packet.layers)
        if event.netns in passed or event.packet.innermost.offset:
            continue
        if event.direction != OUT:
            came[event.netns] = limits
        elif event.netns in came and any(a == b + 1 for a, b in zip(came[event.netns], limits, strict=False)):
            return event.netns
    return ""


def _resets(packet: packets.Packet) -> bool:
    return packet.protocol == packets.TCP and bool(packet.flags & packets.RST)


def _alike(event: Event, like: packets.Packet) -> bool:
    packet = event.packet.innermost
    return (packet.protocol, packet.seq, packet.flags, packet.size) == (like.protocol, like.seq, like.flags, like.size)


def _proper(address: str, like: str) -> str:
    """The address, if it has the same family as ``like``."""
    try:
        return address if address and ip_address(address).version == ip_address(like).version else ""
    except ValueError:
        return ""
