"""Notes on the changes between two sightings: bridged, routed, translated, encapsulated, fragmented, filtered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netlab.diagnose.correlate import FRAME, NEIGHBOUR, REPLY, RULES, Event
from netlab.diagnose.rulebook import RuleBook, location
from netlab.diagnose.topology import Topology
from netlab.evidence.records import OTHERHOST, OUT
from netlab.wire.packets import Packet

_ETHERNET = 14


def annotate(events: Sequence[Event], topology: Topology, book: RuleBook) -> tuple[Event, ...]:
    """Add notes to the events; drop chain traversals without a rule about this packet."""
    last: dict[int, Event] = {}
    annotated = []
    for event in events:
        if event.kind == RULES:
            judged = event.judgement
            assert judged is not None
            meaning = book.meaning(event.netns, judged, event.packet.innermost)
            if meaning is None:
                continue
            words = judged.verdict if judged.verdict != "drop" or not meaning.rejects else "reject"
            verdict = "" if words == "continue" or (words == "accept" and _is_nat(judged.chain, judged.hook)) else words
            note = " ".join(
                part for part in (meaning.text, location(meaning.mark), f"[{verdict}]" if verdict else "") if part
            )
            annotated.append(replace(event, notes=(note,)))
            continue
        if event.kind != FRAME:
            annotated.append(event)
            continue
        if event.role == NEIGHBOUR:
            annotated.append(replace(event, notes=tuple(_neighbour(event, topology))))
            continue
        if event.packet.offset:  # later fragments have no headers to compare
            annotated.append(event)
            continue
        before = last.get(event.number)
        notes = tuple(_between(before, event, topology)) if before else ()
        last[event.number] = event
        annotated.append(replace(event, notes=notes))
    return tuple(annotated)


def _is_nat(chain: str, hook: str) -> bool:
    return "nat" in chain or hook == "postrouting"


def _between(before: Event, event: Event, topology: Topology) -> Iterable[str]:
    """The changes to a packet since its previous sighting."""
    previous, current = before.packet, event.packet
    here = event.netns == before.netns
    if here:
        yield from _bridging(before, event, topology)
    if previous.inner is None and current.inner is not None:
        yield f"VXLAN by {_device(before, event, topology)}: VNI {current.vni}, {_outer(current)}"
    elif previous.inner is not None and current.inner is None:
        yield f"unwrapped by {event.interface}: VNI {previous.vni}, -{_overhead(previous)} bytes"
    a, b = previous.innermost, current.innermost
    if a.hops > b.hops:
        yield f"routed: {_ttl(b)} {a.hops} -> {b.hops}" + (f" in {event.netns}" if not here else "")
    if previous.inner is not None and current.inner is not None and previous.hops > current.hops:
        yield f"outer packet routed: {_ttl(current)} {previous.hops} -> {current.hops}"
    if a.ports == b.ports and not b.offset and not a.offset:
        yield from _translation(event, a, b)
    yield from _cutting(event, previous, current)
    if event.direction == OTHERHOST and not topology.master(event.at) and current.link:
        yield f"its MAC {current.link.target} is not that of {event.interface}"


def _cutting(event: Event, previous: Packet, current: Packet) -> Iterable[str]:
    """Fragmentation and reassembly of the inner and of the outer packet."""
    a, b = previous.innermost, current.innermost
    if b.fragment and not a.fragment:
        yield f"cut into fragments: the packet was too big for {event.interface}"
    elif a.fragment and not b.fragment:
        yield "put together again"
    fragmented = previous.inner is not None and previous.fragment
    if current.inner is not None and current.fragment and not fragmented:
        yield f"cut into fragments: the outer packet was too big for {event.interface}"
    elif fragmented and not current.fragment:
        yield "put together again"


def _bridging(before: Event, event: Event, topology: Topology) -> Iterable[str]:
    came, leaves = before.interface, event.interface
    bridge = topology.master((event.netns, came))
    if (
        before.direction != OUT
        and event.direction == OUT
        and bridge
        and bridge == topology.master((event.netns, leaves))
    ):
        yield f"bridged by {bridge}: {came} -> {leaves}"
    elif before.direction != OUT and event.direction != OUT and bridge == leaves:
        yield f"accepted by {event.netns}: the frame is for the MAC of {bridge}"
    elif before.direction == OUT and event.direction == OUT and topology.master((event.netns, leaves)) == came:
        yield f"{came} sends it by port {leaves}"


def _device(before: Event, event: Event, topology: Topology) -> str:
    if before.netns == event.netns and before.at in topology.tunnels:
        return before.interface
    return event.netns


def _ttl(packet: Packet) -> str:
    return "TTL" if packet.version == 4 else "hop limit"


def _overhead(packet: Packet) -> int:
    """The size of the outer IP, UDP and VXLAN headers and the inner Ethernet header: 50 bytes (IPv4) or 70 (IPv6)."""
    return (20 if packet.version == 4 else 40) + 8 + 8 + _ETHERNET


def _outer(packet: Packet) -> str:
    return f"{packet.source} -> {packet.target} port {packet.dport}, +{_overhead(packet)} bytes"


def _translation(event: Event, a: Packet, b: Packet) -> Iterable[str]:
    """The address translation.  Connection tracking translates a reply as the inverse of its request."""
    reply = event.role == REPLY
    before, after = end(a.source, a.sport), end(b.source, b.sport)
    to_before, to_after = end(a.target, a.dport), end(b.target, b.dport)
    if to_before != to_after:
        yield f"{'masquerading undone, target' if reply else 'DNAT'} {to_before} -> {to_after}"
    if before != after:
        yield f"{'DNAT undone, source' if reply else 'SNAT'} {before} -> {after}"


def end(address: str, port: int) -> str:
    """``10.0.0.1:80``, ``[fd00::1]:80``, or the address alone."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _neighbour(event: Event, topology: Topology) -> Iterable[str]:
    arp = event.packet.innermost.arp
    if arp is None or arp.request or event.direction != OUT or not arp.mac:
        return
    holders = {netns for netns, _ in topology.owners(arp.asked)}
    own = topology.mac.get(event.at) == arp.mac
    if own and event.netns not in holders:
        yield f"proxy ARP: {event.netns} answers for an address that it has not"
