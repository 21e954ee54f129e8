"""Foreign rules on the packet's path: those that nftables' trace shows, and those that it cannot show.

A rule that matched appears in the trace even if it has no verdict.  Some rules are never traced: netdev tables judge
before tracing begins, and so does a chain before the trace's own priority.  Such a rule is named if it matches the
packet where the packet changed or was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise

from netlab.diagnose.finding import Finding
from netlab.diagnose.rules.nfttext import Action, Effect, actions, matches
from netlab.diagnose.sightings.correlate import FRAME, REPLY, REQUEST, RULES, TITLES, Event, Judgement
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT, ForeignRule
from netlab.evidence.records import RULES as RULES_SOURCE
from netlab.objects import WireGuard
from netlab.plan import adopted
from netlab.values import dataclass
from netlab.wire.packets import UDP, Packet

TRACED_FROM = -399  # the priority of the trace's own chains
_INITIAL = (64, 128, 255)  # usual first values of the time to live
_MOST = 4  # named rules


@dataclass(frozen=True, slots=True)
class Hit:
    """A foreign rule and its effect on a packet.  ``certain``: traced, or it matches for sure."""

    rule: ForeignRule
    action: Action
    role: str
    traced: bool
    certain: bool = True
    interface: str = ""


def foreign(story: Story) -> tuple[Hit, ...]:
    """The foreign rules that changed the request or the reply, in the order of the path.

    What a CNI plugin of the lab translates is its work, and no foreign rule; what it drops is one.
    """
    plugins = adopted.tables(story.cluster)
    return tuple(
        hit
        for hit in _hits(story)
        if hit.action.effect is Effect.DROP or (hit.rule.netns, f"{hit.rule.family} {hit.rule.table}") not in plugins
    )


def _hits(story: Story) -> tuple[Hit, ...]:
    met = {
        (event.netns, event.judgement.family, event.judgement.table, step.chain, step.handle)
        for event in story.events
        if event.judgement is not None
        for step in event.judgement.steps
    }
    return (*_traced(story), *(hit for hit in _untraced(story) if _rule_key(hit.rule) not in met), *_sealed(story))


def finding(story: Story, hit: Hit) -> Finding:
    """The finding about a rule."""
    rule, packet = hit.rule, f"the {TITLES[hit.role]}"
    if hit.traced:
        message = f"a foreign rule of {rule.netns} {hit.action.phrase(packet)}: {described(rule)}"
    else:
        verb = "matches" if hit.certain else "may match"
        message = f"{packet} {verb} a foreign rule of {rule.netns}, which was not traced: {described(rule)}"
    return replace(of_rule(rule), message=message, interface=hit.interface)


def described(rule: ForeignRule) -> str:
    """A rule with its table, chain, hook and handle."""
    hook = f"{rule.hook} at {', '.join(rule.devices)}" if rule.devices else rule.hook
    chain = f"table {rule.family} {rule.table} chain {rule.chain}" + (f" ({hook})" if hook else "")
    return f"{chain}, {f'rule handle {rule.handle}' if rule.handle else 'its policy'}: {rule.text}"


def of_rule(rule: ForeignRule) -> Finding:
    """The finding about a rule, without its sentence."""
    return Finding(
        "foreign-rule", described(rule), rule.netns, "",
        (f"ip netns exec {rule.netns} nft -a list chain {rule.family} {rule.table} {rule.chain}",),
        rule=f"{rule.family} {rule.table} {rule.chain} " + (f"handle {rule.handle}" if rule.handle else "policy"),
        root=True, mend=(removal(rule),),
    )  # fmt: skip


def ending_rule(netns: str, judgement: Judgement) -> ForeignRule:
    """The rule (or the policy) with the last verdict of a traversal."""
    step = judgement.steps[-1]
    return ForeignRule(netns, judgement.family, judgement.table, step.chain, step.handle, step.text, judgement.hook)


def removal(rule: ForeignRule) -> str:
    """The command that removes exactly this rule, or makes the chain's policy accept."""
    nft = f"ip netns exec {rule.netns} nft"
    chain = f"{rule.family} {rule.table} {rule.chain}"
    return (
        f"{nft} delete rule {chain} handle {rule.handle}"
        if rule.handle
        else f"{nft} 'chain {chain} {{ policy accept; }}'"
    )


def caused_loss(story: Story, hit: Hit, findings: Iterable[Finding]) -> bool:
    """Whether the rule's effect explains the findings about the packet, and not only changed it."""
    kinds = {each.kind for each in findings}
    effect = hit.action.effect
    if effect in (Effect.TARGET, Effect.AWAY, Effect.DROP):
        return True
    if effect is Effect.SOURCE:
        return not story.answered or "wrong-source" in kinds
    if effect is Effect.TTL:
        return bool(kinds & {"ttl", "loop"}) or any("time exceeded" in each.message for each in findings)
    if effect is Effect.TRACKING:
        return (
            bool(kinds & {"wrong-source"})
            or _untranslated(story, hit.rule.netns)
            or any(event.role == REPLY for event in (*story.drops, *story.verdicts))
        )
    return effect is Effect.CONTENT and "checksum" in kinds


def _untranslated(story: Story, netns: str) -> bool:
    """Whether the packet left a namespace with the addresses that this namespace should have translated."""
    trip, asked = story.round_trip, story.recording.probe.address
    left = [event.packet.innermost for event in story.request if event.netns == netns and event.direction == OUT]
    if not left or story.answered:
        return False
    if netns in trip.request.translated and trip.backend != asked and left[-1].target == asked:
        return True
    masquerades = trip.seen_as not in ("", trip.source) and story.topology.local(netns, trip.seen_as)
    return masquerades and left[-1].source == trip.source


# -- traced rules -----------------------------------------------------------------------------------------------------


def _rule_key(rule: ForeignRule) -> tuple[str, str, str, str, int]:
    return rule.netns, rule.family, rule.table, rule.chain, rule.handle


def _traced(story: Story) -> Iterator[Hit]:
    seen = set()
    for event in story.events:
        judged = event.judgement
        if event.kind != RULES or judged is None or event.role not in (REQUEST, REPLY):
            continue
        for step in judged.steps:
            if not story.book.foreign_rule(event.netns, judged, step):
                continue
            text = story.book.rule_text(event.netns, judged, step)
            rule = ForeignRule(
                event.netns, judged.family, judged.table, step.chain, step.handle, text, judged.hook, judged.priority
            )
            if not step.handle or _rule_key(rule) in seen:
                continue
            seen.add(_rule_key(rule))
            for action in actions(text):
                if action.effect is not Effect.DROP:  # the drop itself is a finding
                    yield Hit(rule, action, event.role, traced=True, interface=event.interface)
                    break


# -- rules that no trace shows ----------------------------------------------------------------------------------------


def untraced(story: Story, rule: ForeignRule) -> bool:
    """Whether nftables' trace cannot show that the packet matched this rule."""
    if not story.source(RULES_SOURCE).on or rule.family == "netdev":
        return True
    return bool(rule.hook) and rule.priority <= TRACED_FROM


def _untraced(story: Story) -> Iterator[Hit]:
    """The rules that the packet matches in a namespace where it changed accordingly, or where it was lost."""
    for role, frames in ((REQUEST, story.request), (REPLY, story.reply)):
        lost, left = _lost_in(story, role), _left_in(story, role)
        for rule in story.recording.foreign:
            here = [event for event in frames if event.netns == rule.netns]
            if here and story.request and here[0] is story.request[0]:
                here = [_as_sent(story, here[0]), *here]
            if not here or not untraced(story, rule):
                continue
            for action in actions(rule.text):
                changed = _changed(here, action.effect)
                diverted = rule.netns == left and action.effect is Effect.AWAY
                if rule.netns != lost and not changed and not diverted:
                    continue
                if rule.netns == lost and action.effect in (Effect.MARK, Effect.COPY):
                    continue
                if action.effect is Effect.DROP and any(event.role == role for event in story.drops):
                    continue  # the kernel names the place of the drop, and the finding about it this rule
                matched = match(story, rule, here)
                if matched is not False:
                    yield Hit(rule, action, role, traced=False, certain=bool(matched), interface=here[-1].interface)
                    break


def _sealed(story: Story) -> Iterator[Hit]:
    """The rules that drop WireGuard's packets: no trace shows them, and the packet inside was last seen before."""
    role, frames, path = (
        (REPLY, story.reply, story.round_trip.reply)
        if story.reply
        else (REQUEST, story.request, story.round_trip.request)
    )
    if story.answered or not frames or path is None or frames[-1].direction != OUT:
        return
    last = frames[-1]
    tunnel = story.topology.tunnels.get(last.at)
    if not isinstance(tunnel, WireGuard):
        return
    peer = story.topology.peer(tunnel, last.packet.innermost.target)
    if peer is None:
        return
    address, _, port = peer.endpoint.rpartition(":")
    target = address.strip("[]")
    outer = Packet(
        version=ip_address(target).version,
        source=story.topology.tunnel_source(tunnel, target),
        target=target,
        protocol=UDP,
        hops=_INITIAL[0],
        ports=True,
        sport=tunnel.port,
        dport=int(port),
    )
    passed = {last.netns, peer.remote, *(hop.netns for hop in path.hops if hop.encapsulated)}
    for rule in story.recording.foreign:
        if rule.netns not in passed or all(each.effect is not Effect.DROP for each in actions(rule.text)):
            continue
        matched = _matches(story, rule, outer)
        if matched is not False:
            action = next(each for each in actions(rule.text) if each.effect is Effect.DROP)
            yield Hit(rule, action, role, traced=False, certain=bool(matched))


def _lost_in(story: Story, role: str) -> str:
    """The namespace in which a packet was last seen, if it was lost."""
    frames = story.reply if role == REPLY else story.request
    if story.answered or not frames or (role == REQUEST and story.reply):
        return ""
    return frames[-1].netns


def _left_in(story: Story, role: str) -> str:
    """The namespace in which a packet left its expected path."""
    left = story.reply_left if role == REPLY else story.request_left
    return left.netns if left is not None and left.went is not None else ""


def match(story: Story, rule: ForeignRule, frames: Iterable[Event]) -> bool | None:
    """Whether a rule matches a packet at one of its sightings: as it came, as it left, or its tunnel's packet."""
    results: set[bool | None] = set()
    for event in frames:
        came = event.direction != OUT
        if rule.devices and not _at_device(story, rule, event):
            continue
        iif, oif = (event.interface, "") if came else ("", event.interface)
        results |= {_matches(story, rule, packet, iif, oif) for packet in _layers(rule, event.packet)}
    return True if True in results else None if None in results else False


def _matches(story: Story, rule: ForeignRule, packet: Packet, iif: str = "", oif: str = "") -> bool | None:
    """As ``matches``; a chain's policy judges only what no rule of the chain accepted."""
    if rule.handle:
        return matches(rule.text, packet, iif, oif)
    accepting = [
        each for each in story.recording.foreign if _rule_key(each)[:4] == _rule_key(rule)[:4] and "accept" in each.text
    ]
    return None if any(matches(each.text, packet, iif, oif) is not False for each in accepting) else True


def _layers(rule: ForeignRule, packet: Packet) -> Iterable[Packet]:
    return (packet,) if rule.family == "netdev" else tuple(packet.layers)


def _at_device(story: Story, rule: ForeignRule, event: Event) -> bool:
    """Whether a netdev chain judges a packet near a sighting: on its way in there, or on its way out next."""
    if rule.hook == "ingress":
        return event.direction != OUT and event.interface in rule.devices
    left = story.reply_left if event.role == REPLY else story.request_left
    following = left.expected if left is not None else None
    next_out = following is not None and following.netns == event.netns and following.interface in rule.devices
    return next_out or (event.direction == OUT and event.interface in rule.devices)


def _as_sent(story: Story, event: Event) -> Event:
    """The request before the rules of its sender's namespace: a sighting that no socket could have."""
    probe, packet = story.recording.probe, event.packet
    if packet.inner is not None or packet.innermost.arp is not None:
        return event
    first = packet.hops if packet.hops in _INITIAL else _INITIAL[0]
    sent = replace(packet, target=probe.address, source=probe.local or packet.source, hops=first)
    if packet.ports:
        sent = replace(sent, dport=probe.port, sport=probe.local_port)
    return replace(event, packet=sent)


def _changed(frames: list[Event], effect: Effect) -> bool:
    """Whether a packet changed between its sightings in a namespace as this effect would change it."""
    for before, after in pairwise(frames):
        if before.kind != FRAME or before.packet.innermost.offset or after.packet.innermost.offset:
            continue
        a, b = before.packet.innermost, after.packet.innermost
        if effect is Effect.TARGET and (a.target, a.dport) != (b.target, b.dport):
            return True
        if effect is Effect.SOURCE and (a.source, a.sport) != (b.source, b.sport):
            return True
        if effect is Effect.TTL and a.hops - b.hops not in (0, 1):
            return True
    return False


def droppers(story: Story, event: Event) -> Iterator[ForeignRule]:
    """The foreign rules that can have dropped a packet where the kernel says that a hook dropped it."""
    certain, possible = [], []
    for rule in story.recording.foreign:
        if rule.netns != event.netns or not any(each.effect is Effect.DROP for each in actions(rule.text)):
            continue
        if event.role in (REQUEST, REPLY) and not untraced(story, rule):
            continue
        if rule.devices and event.interface not in rule.devices:
            continue
        results = {_matches(story, rule, packet) for packet in event.packet.layers}
        certain += [rule] if True in results else []
        possible += [rule] if True not in results and None in results else []
    yield from (certain or possible)[:_MOST]
