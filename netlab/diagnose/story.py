"""A recording read: what was seen, what should have been, how far question and answer came.

``tell`` makes a ``Story``, the one value that findings, text and JSON are made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address

from netlab.diagnose.annotate import annotate
from netlab.diagnose.correlate import ANSWER, DROP, ERROR, FRAME, NEIGHBOUR, QUESTION, RULES, Event, correlate
from netlab.diagnose.expect import Divergence, Expecter, Journey, divergence
from netlab.diagnose.rulewords import Meaning, RuleBook
from netlab.diagnose.topology import Topology
from netlab.diagnose.way import Hop, Way
from netlab.evidence.records import IN, OTHERHOST, OUT, Recording, Source
from netlab.model import Cluster
from netlab.objects import Key, Obj
from netlab.oracle.flow import Flow
from netlab.wire import packets

# What becomes of a packet that was delivered: its socket was closed with it, or it has done its work.
_SPENT = frozenset(
    ("QUEUE_PURGE", "TCP_OLD_DATA", "TCP_CLOSE", "TCP_RESET", "TCP_OFOMERGE", "CONSUMED", "NOT_DROPPED_YET")
)
_SPENT_IN = ("ping_rcv", "icmp_rcv", "icmpv6_rcv", "raw_rcv")


@dataclass(frozen=True)
class Story:
    """What is known of one traced packet.

    ``events`` are annotated; ``flow`` is the question that was asked, ``journey`` the way that it should have gone.
    """

    recording: Recording
    cluster: Cluster
    want: Mapping[Key, Obj] = field(repr=False)
    flow: Flow
    journey: Journey
    events: tuple[Event, ...]
    known: Topology = field(repr=False)
    book: RuleBook = field(repr=False)

    # -- the packets --------------------------------------------------------------------------------------------------

    @cached_property
    def question(self) -> tuple[Event, ...]:
        """The sightings of the first question."""
        return self._first(QUESTION)

    @cached_property
    def answer(self) -> tuple[Event, ...]:
        """The sightings of the first answer."""
        return self._first(ANSWER)

    @cached_property
    def segment(self) -> Event | None:
        """Of a connection that was made: the first and largest segment of data, where not all was acknowledged."""
        probe = self.recording.probe
        frames = [one for one in self.events if one.kind == FRAME and one.netns == probe.netns]
        made = any(one.way == ANSWER and not _resets(one.packet.innermost) for one in frames)
        if probe.protocol != "TCP" or not probe.size or probe.outcome == "open" or not made:
            return None
        data = [one for one in frames if one.way == QUESTION and one.direction == OUT and one.packet.innermost.size]
        return max(data, key=lambda one: one.packet.innermost.size, default=None)

    def _first(self, way: str) -> tuple[Event, ...]:
        frames = [one for one in self.events if one.kind == FRAME and one.way == way]
        if self.segment is not None:  # the question is what got lost, and not the handshake before it
            sent = self.segment.packet.innermost
            end = sent.seq + sent.size
            frames = [one for one in frames
                      if (one.number == self.segment.number if way == QUESTION
                          else (one.packet.innermost.ack - end) & 0xFFFFFFFF < 1 << 31)]  # fmt: skip
        return tuple(one for one in frames if one.number == frames[0].number)

    @property
    def attempts(self) -> int:
        """How many times the first question was sent."""
        first = self.question
        if not first:
            return 0
        like = first[0].packet.innermost
        same = {one.number for one in self.events if one.kind == FRAME and one.way == QUESTION and _alike(one, like)}
        return len(same)

    @cached_property
    def errors(self) -> tuple[Event, ...]:
        """ICMP errors, each where it was seen first."""
        found: dict[int, Event] = {}
        for one in self.events:
            if one.way == ERROR and one.kind == FRAME and one.packet.innermost.is_error:
                found.setdefault(one.number, one)
        return tuple(found.values())

    @cached_property
    def drops(self) -> tuple[Event, ...]:
        """Packets that the kernel dropped, less those that had done their work and flooded copies of what arrived."""
        found = []
        for one in self.events:
            assert one.kind != DROP or one.drop is not None
            if one.kind != DROP or one.drop is None:
                continue
            spent = one.drop.reason in _SPENT or one.drop.function.startswith(_SPENT_IN)
            # A reset has done its work when it is freed, and no reason says so.
            consumed = _resets(one.packet.innermost) and one.drop.reason in ("", "NOT_SPECIFIED")
            if not spent and not consumed and not self._copy(one):
                found.append(one)
        return tuple(found)

    def _copy(self, event: Event) -> bool:
        """Whether it was a copy that a bridge flooded besides: the packet itself went on."""
        way = self.journey.answer if event.way == ANSWER else self.journey.question
        arrived = self.arrived if event.way == QUESTION else self.answered
        if event.drop is not None and event.drop.reason == "OTHERHOST" and arrived:
            return True
        if way is None or any((hop.netns, hop.interface) == (event.netns, event.interface) for hop in way.hops):
            return False
        return arrived and event.way in (QUESTION, ANSWER) and bool(event.interface)

    @cached_property
    def verdicts(self) -> tuple[Event, ...]:
        """Traversals in which nftables dropped or rejected a packet."""
        return tuple(
            one for one in self.events if one.kind == RULES and one.judgement and one.judgement.verdict == "drop"
        )

    def meaning(self, event: Event) -> Meaning | None:
        """What a traversal means."""
        judged = event.judgement
        return self.book.meaning(event.netns, judged, event.packet.innermost) if judged else None

    # -- neighbours ---------------------------------------------------------------------------------------------------

    @cached_property
    def asked(self) -> dict[tuple[str, str, str], int]:
        """Who asked for an address, (namespace, interface, address), and how often."""
        found: dict[tuple[str, str, str], int] = {}
        for one in self._neighbours:
            arp = one.packet.innermost.arp
            origin = one.direction == OUT and one.packet.inner is None and arp is not None and arp.request
            origin = origin and one.packet.source not in ("::", "0.0.0.0")  # a look for duplicates wants no answer
            sender = one.packet.link.source if one.packet.link else ""
            if arp is None or not origin or self.known.mac.get((one.netns, one.interface), sender) != sender:
                continue
            key = one.netns, one.interface, arp.asked
            found[key] = found.get(key, 0) + 1
        return found

    @cached_property
    def answers(self) -> dict[str, set[str]]:
        """By address, the MACs that answered for it."""
        found: dict[str, set[str]] = {}
        for one in self._neighbours:
            arp = one.packet.innermost.arp
            if arp is not None and not arp.request and arp.mac:
                found.setdefault(arp.asked, set()).add(arp.mac)
        return found

    @cached_property
    def unanswered(self) -> tuple[tuple[str, str, str], ...]:
        """Requests to which no answer came back to the one that asked."""
        back = {
            (one.netns, arp.asked)
            for one in self._neighbours
            if (arp := one.packet.innermost.arp) is not None and not arp.request and one.direction != OUT
        }
        version = 6 if ":" in self.recording.probe.address else 4
        versions = {version} | {layer.version for one in self.question for layer in one.packet.layers}
        return tuple(
            key for key in self.asked if (key[0], key[2]) not in back and (6 if ":" in key[2] else 4) in versions
        )

    @cached_property
    def _neighbours(self) -> tuple[Event, ...]:
        return tuple(one for one in self.events if one.way == NEIGHBOUR and one.kind == FRAME)

    # -- how far ------------------------------------------------------------------------------------------------------

    @cached_property
    def arrived(self) -> bool:
        """Whether the question came to where it should, as it was seen there or as the answer from there tells."""
        answerer = self.answer[0].netns if self.answer else ""
        if self.recording.probe.outcome == "open" or answerer == self.journey.question.netns:
            return True
        way = self.journey.question
        if not way.arrives or not way.hops:
            return False
        return way.hops[-1] in hops(self.question, self.known)

    @cached_property
    def arrived_at_target(self) -> bool:
        """Whether the question was seen in the namespace that it was for."""
        way = self.journey.question
        return way.arrives and any(one.netns == way.netns for one in self.question if way.hops and self.arrived)

    @cached_property
    def answered(self) -> bool:
        """Whether the answer came back to the sender."""
        home = self.recording.probe.netns
        back = [one for one in self.answer if one.netns == home and (one.direction != OUT or one.interface == "lo")]
        asked = self.recording.probe.address
        proper = [one.packet.innermost for one in back if one.packet.innermost.source == asked]
        return self.recording.probe.outcome == "open" or any(not _resets(one) for one in proper)

    @cached_property
    def question_left(self) -> Divergence | None:
        """Where the question left its way."""
        return _left(self.journey.question, hops(self.question, self.known), self.frames.lost)

    @cached_property
    def answer_left(self) -> Divergence | None:
        """Where the answer left its way."""
        way = self.journey.answer
        # One that begins elsewhere is somebody else's (a rule's reset, the wrong Pod's), and has a way of its own.
        if way is None or not self.answer or self.answer[0].netns != self.journey.question.netns:
            return None
        return _left(way, hops(self.answer, self.known), self.frames.lost)

    # -- sources ------------------------------------------------------------------------------------------------------

    def source(self, name: str) -> Source:
        """A source of evidence; off where the recording does not know it."""
        known = (one for one in self.recording.sources if one.name == name)
        return next(known, Source(name, False, why="it was not asked for"))

    @property
    def frames(self) -> Source:
        return self.source("frames")

    def counters(self, netns: str) -> Mapping[str, int]:
        """The counters of a namespace that moved."""
        return self.recording.counters.get(netns, {})

    @cached_property
    def concerned(self) -> frozenset[str]:
        """The namespaces in which something may be wrong that this packet needed: those on its ways."""
        found = {self.recording.probe.netns} | {one.netns for one in self.events if one.netns}
        for way in (self.journey.question, self.journey.answer):
            if way is not None:
                found |= {hop.netns for hop in way.hops}
        for address in self.addresses:
            found |= {netns for netns, _ in self.known.owners(address)}
        return frozenset(found)

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Every address that the packets had, and those of their tunnels."""
        found = {self.recording.probe.address, self.journey.backend, self.journey.source, self.journey.seen_as}
        for one in self.events:
            if one.way in (QUESTION, ANSWER):
                found |= {end for layer in one.packet.layers for end in (layer.source, layer.target)}
        return frozenset(found - {""})


def tell(recording: Recording, cluster: Cluster, want: Mapping[Key, Obj]) -> Story:
    """Read a recording of a lab's packet; ``want`` is the lab's desired state."""
    expecter = Expecter(cluster, want)
    book = RuleBook(cluster, want)
    events = annotate(correlate(recording), expecter.topology, book)
    probe = recording.probe
    flow = expecter.flow(probe.netns, probe.address, probe.port, probe.protocol)
    frames = [one for one in events if one.kind == FRAME and one.way == QUESTION]
    frames = [one for one in frames if one.number == frames[0].number]
    source, backend, seen_as = "", "", ""
    if frames:
        first, last = frames[0].packet.innermost, frames[-1].packet.innermost
        source = (
            _proper(probe.local, probe.address) or first.source
        )  # a node's own may be masqueraded before it is seen
        if last.target != probe.address and _proper(last.target, probe.address):
            backend = last.target
        if last.source != source and frames[-1].direction != OUT:
            seen_as = last.source
    source = source or _proper(probe.local, probe.address)
    planned = expecter.journey(flow, source=source, backend=backend)
    if seen_as and planned.question.arrives and frames[-1].netns == planned.question.netns:
        planned = expecter.journey(flow, source=source, backend=backend, seen_as=seen_as)
    return Story(recording, cluster, want, flow, planned, events, expecter.topology, book)


def hops(sightings: Iterable[Event], known: Topology) -> list[Hop]:
    """The interfaces that a packet was seen at, in order.

    A bridge's port takes every frame, so there one for another's MAC is well; elsewhere it has not really come in.
    """
    found: list[Hop] = []
    for one in sightings:
        if any(layer.offset for layer in one.packet.layers):
            continue  # a later fragment starts when the first may be there already: that one shows the way
        way = OUT if one.direction == OUT else IN
        if one.direction == OTHERHOST and not known.master((one.netns, one.interface)):
            way = OTHERHOST
        hop = Hop(one.netns, one.interface, way, one.packet.inner is not None)
        if not found or found[-1] != hop:  # fragments are one packet
            found.append(hop)
    return found


def _left(way: Way, seen: list[Hop], lost: int) -> Divergence | None:
    return divergence(way.hops, seen, besides=way.besides, lost=lost > 0)


def _resets(packet: packets.Packet) -> bool:
    return packet.protocol == packets.TCP and bool(packet.flags & packets.RST)


def _alike(event: Event, like: packets.Packet) -> bool:
    one = event.packet.innermost
    return (one.protocol, one.seq, one.flags, one.size) == (like.protocol, like.seq, like.flags, like.size)


def _proper(address: str, like: str) -> str:
    """The address, where it is one of the same family."""
    try:
        return address if address and ip_address(address).version == ip_address(like).version else ""
    except ValueError:
        return ""
