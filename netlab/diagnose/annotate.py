"""What happened between two sightings of a packet, in words: bridged, routed, translated, wrapped, cut, judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netlab.diagnose.correlate import ANSWER, FRAME, NEIGHBOUR, RULES, Event
from netlab.diagnose.rulewords import RuleBook, place
from netlab.diagnose.topology import Topology
from netlab.evidence.records import OTHERHOST, OUT
from netlab.wire.packets import Packet

_ETHERNET = 14


def annotate(events: Sequence[Event], known: Topology, book: RuleBook) -> tuple[Event, ...]:
    """The events with their notes, less the traversals of chains in which nothing was about this packet."""
    last: dict[int, Event] = {}
    found = []
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
                part for part in (meaning.says, place(meaning.mark), f"[{verdict}]" if verdict else "") if part
            )
            found.append(replace(event, notes=(note,)))
            continue
        if event.kind != FRAME:
            found.append(event)
            continue
        if event.way == NEIGHBOUR:
            found.append(replace(event, notes=tuple(_neighbour(event, known))))
            continue
        if event.packet.offset:  # the rest of one that was cut has nothing to compare
            found.append(event)
            continue
        before = last.get(event.number)
        notes = tuple(_between(before, event, known)) if before else ()
        last[event.number] = event
        found.append(replace(event, notes=notes))
    return tuple(found)


def _is_nat(chain: str, hook: str) -> bool:
    return "nat" in chain or hook == "postrouting"


def _between(before: Event, event: Event, known: Topology) -> Iterable[str]:
    """What was done to a packet since it was seen last."""
    one, other = before.packet, event.packet
    here = event.netns == before.netns
    if here:
        yield from _bridging(before, event, known)
    if one.inner is None and other.inner is not None:
        yield f"VXLAN by {_device(before, event, known)}: VNI {other.vni}, {_outer(other)}"
    elif one.inner is not None and other.inner is None:
        yield f"unwrapped by {event.interface}: VNI {one.vni}, -{_overhead(one)} bytes"
    a, b = one.innermost, other.innermost
    if a.hops > b.hops:
        yield f"routed: {_ttl(b)} {a.hops} -> {b.hops}" + (f" in {event.netns}" if not here else "")
    if one.inner is not None and other.inner is not None and one.hops > other.hops:
        yield f"outer packet routed: {_ttl(other)} {one.hops} -> {other.hops}"
    if a.ports == b.ports and not b.offset and not a.offset:
        yield from _translation(event, a, b)
    yield from _cutting(event, one, other)
    if event.direction == OTHERHOST and not known.master((event.netns, event.interface)) and other.link:
        yield f"its MAC {other.link.target} is not that of {event.interface}"


def _cutting(event: Event, one: Packet, other: Packet) -> Iterable[str]:
    """Whether the packet, or the one that is around it, was cut or put together: each held against itself."""
    a, b = one.innermost, other.innermost
    if b.fragment and not a.fragment:
        yield f"cut into fragments: the packet was too big for {event.interface}"
    elif a.fragment and not b.fragment:
        yield "put together again"
    wrapped = one.inner is not None and one.fragment
    if other.inner is not None and other.fragment and not wrapped:
        yield f"cut into fragments: the outer packet was too big for {event.interface}"
    elif wrapped and not other.fragment:
        yield "put together again"


def _bridging(before: Event, event: Event, known: Topology) -> Iterable[str]:
    came, leaves = before.interface, event.interface
    bridge = known.master((event.netns, came))
    if before.direction != OUT and event.direction == OUT and bridge and bridge == known.master((event.netns, leaves)):
        yield f"bridged by {bridge}: {came} -> {leaves}"
    elif before.direction != OUT and event.direction != OUT and bridge == leaves:
        yield f"accepted by {event.netns}: the frame is for the MAC of {bridge}"
    elif before.direction == OUT and event.direction == OUT and known.master((event.netns, leaves)) == came:
        yield f"{came} sends it by port {leaves}"


def _device(before: Event, event: Event, known: Topology) -> str:
    if before.netns == event.netns and (before.netns, before.interface) in known.tunnels:
        return before.interface
    return event.netns


def _ttl(packet: Packet) -> str:
    return "TTL" if packet.version == 4 else "hop limit"


def _overhead(packet: Packet) -> int:
    """Outer IP, UDP and VXLAN headers and the inner frame's own: 50 bytes over IPv4, 70 over IPv6."""
    return (20 if packet.version == 4 else 40) + 8 + 8 + _ETHERNET


def _outer(packet: Packet) -> str:
    return f"{packet.source} -> {packet.target} port {packet.dport}, +{_overhead(packet)} bytes"


def _translation(event: Event, a: Packet, b: Packet) -> Iterable[str]:
    """What NAT did.  Connection tracking translates an answer as the inverse of what was done to the question."""
    answer = event.way == ANSWER
    before, after = end(a.source, a.sport), end(b.source, b.sport)
    to_before, to_after = end(a.target, a.dport), end(b.target, b.dport)
    if to_before != to_after:
        yield f"{'masquerading undone, target' if answer else 'DNAT'} {to_before} -> {to_after}"
    if before != after:
        yield f"{'DNAT undone, source' if answer else 'SNAT'} {before} -> {after}"


def end(address: str, port: int) -> str:
    """``10.0.0.1:80``, ``[fd00::1]:80``, or the address alone."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _neighbour(event: Event, known: Topology) -> Iterable[str]:
    arp = event.packet.innermost.arp
    if arp is None or arp.request or event.direction != OUT or not arp.mac:
        return
    holders = {netns for netns, _ in known.owners(arp.asked)}
    own = known.mac.get((event.netns, event.interface)) == arp.mac
    if own and event.netns not in holders:
        yield f"proxy ARP: {event.netns} answers for an address that it has not"
