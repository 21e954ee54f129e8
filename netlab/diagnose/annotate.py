"""The changes between two sightings, in words and for programs: bridged, routed, translated, encapsulated, fragmented, filtered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from netlab.diagnose.expected.topology import Topology
from netlab.diagnose.rules.rulebook import RuleBook, location
from netlab.diagnose.sightings.correlate import FRAME, NEIGHBOUR, REPLY, RULES, Change, Event
from netlab.diagnose.sightings.succession import predecessors
from netlab.evidence.records import OTHERHOST, OUT
from netlab.objects import WireGuard
from netlab.wire.packets import Packet


def annotate(events: Sequence[Event], topology: Topology, book: RuleBook) -> tuple[Event, ...]:
    """Add the changes to the events; drop chain traversals without a rule about this packet."""
    kept = [judged for event in events if (judged := _judged(event, book) if event.kind == RULES else event)]
    before = predecessors(kept, topology)
    return tuple(
        replace(
            event, after=after, changes=tuple(_changes(kept[after] if after is not None else None, event, topology))
        )
        for event, after in zip(kept, before, strict=True)
    )


def _judged(event: Event, book: RuleBook) -> Event | None:
    """A chain's traversal with its meaning; None without a rule about this packet."""
    judged = event.judgement
    assert judged is not None
    meaning = book.meaning(event.netns, judged, event.packet.innermost)
    if meaning is None:
        return None
    words = judged.verdict if judged.verdict != "drop" or not meaning.rejects else "reject"
    verdict = (
        ""
        if words == "continue" or (words == "accept" and ("nat" in judged.chain or judged.hook == "postrouting"))
        else words
    )
    parts = (meaning.text, location(meaning.mark), f"[{verdict}]" if verdict else "")
    return replace(event, meant=" ".join(part for part in parts if part))


def _changes(before: Event | None, event: Event, topology: Topology) -> Iterable[Change]:
    if event.kind != FRAME or event.packet.offset:  # later fragments have no headers to compare
        return ()
    if event.role == NEIGHBOUR:
        return _neighbour(event, topology)
    return _between(before, event, topology) if before else ()


def _between(before: Event, event: Event, topology: Topology) -> Iterable[Change]:
    """The changes to a packet since its previous sighting."""
    previous, current = before.packet, event.packet
    here = event.netns == before.netns
    if here:
        yield from _bridging(before, event, topology)
    if previous.inner is None and current.inner is not None:
        by, more = _device(before, event, topology), current.overhead
        text = f"{current.tunnel} by {by}: {_vni(current)}{_outer(current)}"
        yield Change("wrapped", text, current.source, current.target,
                     by, more, current.vni)  # fmt: skip
    elif previous.inner is not None and current.inner is None:
        less = previous.overhead
        text = f"unwrapped by {event.interface}: {_vni(previous)}-{less} bytes"
        yield Change("unwrapped", text, previous.source,
                     previous.target, event.interface, -less, previous.vni)  # fmt: skip
    yield from _decryption(before, event, topology)
    a, b = previous.innermost, current.innermost
    if a.hops > b.hops:
        text = f"routed: {_ttl(b)} {a.hops} -> {b.hops}" + (f" in {event.netns}" if not here else "")
        yield Change("routed", text, str(a.hops), str(b.hops))
    if previous.inner is not None and current.inner is not None and previous.hops > current.hops:
        text = f"outer packet routed: {_ttl(current)} {previous.hops} -> {current.hops}"
        yield Change("routed", text, str(previous.hops), str(current.hops), outer=True)
    if a.ports == b.ports and not b.offset and not a.offset:
        yield from _translation(event, a, b)
    yield from _cutting(event, previous, current)
    if event.direction == OTHERHOST and not topology.master(event.at) and current.link:
        text = f"its MAC {current.link.target} is not that of {event.interface}"
        yield Change("misaddressed", text, topology.mac.get(event.at, ""), current.link.target, event.interface)


def _cutting(event: Event, previous: Packet, current: Packet) -> Iterable[Change]:
    """Fragmentation and reassembly of the inner and of the outer packet."""
    a, b = previous.innermost, current.innermost
    if b.fragment and not a.fragment:
        text = f"cut into fragments: the packet was too big for {event.interface}"
        yield Change("fragmented", text, by=event.interface)
    elif a.fragment and not b.fragment:
        yield Change("reassembled", "put together again")
    fragmented = previous.inner is not None and previous.fragment
    if current.inner is not None and current.fragment and not fragmented:
        text = f"cut into fragments: the outer packet was too big for {event.interface}"
        yield Change("fragmented", text, by=event.interface, outer=True)
    elif fragmented and not current.fragment:
        yield Change("reassembled", "put together again", outer=True)


def _bridging(before: Event, event: Event, topology: Topology) -> Iterable[Change]:
    came, leaves = before.interface, event.interface
    bridge = topology.master((event.netns, came))
    if (
        before.direction != OUT
        and event.direction == OUT
        and bridge
        and bridge == topology.master((event.netns, leaves))
    ):
        yield Change("bridged", f"bridged by {bridge}: {came} -> {leaves}", came, leaves, bridge)
    elif before.direction != OUT and event.direction != OUT and bridge == leaves:
        text = f"accepted by {event.netns}: the frame is for the MAC of {bridge}"
        yield Change("taken-up", text, came, leaves, bridge)
    elif before.direction == OUT and event.direction == OUT and topology.master((event.netns, leaves)) == came:
        yield Change("bridged", f"{came} sends it by port {leaves}", came, leaves, came)


def _decryption(before: Event, event: Event, topology: Topology) -> Iterator[Change]:
    """A packet that was last seen before its encryption, and comes out of another node's device."""
    sender, receiver = topology.tunnels.get(before.at), topology.tunnels.get(event.at)
    if not (isinstance(sender, WireGuard) and isinstance(receiver, WireGuard)) or before.direction != OUT:
        return
    peer = topology.peer(sender, event.packet.target)
    to = f" for {peer.remote} ({peer.endpoint})" if peer else ""
    text = f"encrypted{to} by WireGuard, in whose packets it cannot be seen, and decrypted by {event.interface}"
    yield Change("decrypted", text, before.interface, event.interface, event.interface)


def _device(before: Event, event: Event, topology: Topology) -> str:
    if before.netns == event.netns and before.at in topology.tunnels:
        return before.interface
    return event.netns


def _ttl(packet: Packet) -> str:
    return "TTL" if packet.version == 4 else "hop limit"


def _outer(packet: Packet) -> str:
    port = f" port {packet.dport}" if packet.ports else ""
    return f"{packet.source} -> {packet.target}{port}, +{packet.overhead} bytes"


def _vni(packet: Packet) -> str:
    return f"VNI {packet.vni}, " if packet.vni is not None else ""


def _translation(event: Event, a: Packet, b: Packet) -> Iterable[Change]:
    """The address translation.  Connection tracking translates a reply as the inverse of its request."""
    reply = event.role == REPLY
    before, after = end(a.source, a.sport), end(b.source, b.sport)
    to_before, to_after = end(a.target, a.dport), end(b.target, b.dport)
    if to_before != to_after:
        text = f"{'masquerading undone, target' if reply else 'DNAT'} {to_before} -> {to_after}"
        yield Change("snat" if reply else "dnat", text, to_before, to_after, undone=reply)
    if before != after:
        text = f"{'DNAT undone, source' if reply else 'SNAT'} {before} -> {after}"
        yield Change("dnat" if reply else "snat", text, before, after, undone=reply)


def end(address: str, port: int) -> str:
    """``10.0.0.1:80``, ``[fd00::1]:80``, or the address alone."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _neighbour(event: Event, topology: Topology) -> Iterable[Change]:
    arp = event.packet.innermost.arp
    if arp is None or arp.request or event.direction != OUT or not arp.mac:
        return
    holders = {netns for netns, _ in topology.owners(arp.asked)}
    own = topology.mac.get(event.at) == arp.mac
    if own and event.netns not in holders:
        text = f"proxy ARP: {event.netns} answers for an address that it does not have"
        yield Change("proxied", text, target=arp.asked, by=event.interface)
