"""From evidence to findings: an ordered table of small rules, each of which says one sentence or nothing.

The first finding is the best explanation that the evidence carries: what differs from the lab where the packet needed it
(``causes``), then the place where it turned wrong, then what the kernel dropped and why (``drops``).  Where a source is
missing the others must do: without BPF a traced rule, an ICMP error, a reset, an unanswered question for a neighbour, a
counter that moved; and if there is nothing else, how far it came.  Nothing is claimed beyond that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from netlab.diagnose import counters, drops, reasons, turns
from netlab.diagnose.annotate import end
from netlab.diagnose.causes import causes
from netlab.diagnose.correlate import ANSWER, ERROR, FRAME, QUESTION, TITLES, Event
from netlab.diagnose.counters import last_seen
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.diagnose.text import icmp
from netlab.diagnose.way import Hop
from netlab.diagnose.words import asked, look_route, who
from netlab.evidence.records import DROPS, IN, OUT
from netlab.oracle.flow import ADDRESS
from netlab.plan.drift import Drift
from netlab.wire import packets


def findings(story: Story, drift: Drift | None = None) -> tuple[Finding, ...]:
    """What can be said, the best explanation first; nothing where all went as it should."""
    told: list[Finding] = []
    if story.recording.probe.outcome != "open":
        for rule in _LOST:
            told += rule(story)
        if not told:
            for rule in _ELSE:
                told += rule(story)
        told += _by_design(story, told)
    else:
        for rule in _ARRIVED:
            told += rule(story)
    if drift is not None and (told or not story.answered):
        place = told[0].netns if told else story.recording.probe.netns
        told = [*causes(story, drift, place), *told]
    return tuple(_once(told))


def _once(told: Iterable[Finding]) -> Iterator[Finding]:
    seen: set[tuple[str, str, str]] = set()
    places: set[str] = set()
    for one in told:
        if one.kind == "reset" and one.netns in places:
            continue  # why it was sent is said already
        if one.kind == "icmp" and one.netns in places:
            one = replace(one, look=())
        places |= {one.netns} if one.kind != "drift" else set()
        key = one.kind, one.netns, one.says if one.kind in ("drift", "icmp") else ""
        if key not in seen:
            seen.add(key)
            yield one


# -- translations ------------------------------------------------------------------------------------------------------


def _translated_wrong(story: Story) -> Iterator[Finding]:
    """A Service's address became one that is no backend of it: rules that are not kube-proxy's."""
    journey, probe = story.journey, story.recording.probe
    if journey.because is None or not journey.backends or not journey.backend:
        return
    if journey.backend in (address for address, _ in journey.backends):
        return
    event = next((one for one in story.question if one.packet.innermost.target == journey.backend), None)
    if event is not None:
        whose = who(story, journey.backend)
        says = f"{event.netns} translated {probe.address} to {journey.backend} ({whose}), which is not behind it: {journey.because.says}"
        look = (f"ip netns exec {event.netns} nft list ruleset",)
        yield Finding("wrong-backend", says, event.netns, look=look, mark=journey.because.mark, root=True)


def _answered_untranslated(story: Story) -> Iterator[Finding]:
    """The answer came home from another address than was asked: nobody undid the translation."""
    home, asked = story.recording.probe.netns, story.recording.probe.address
    back = [one for one in story.answer if one.netns == home and one.direction != OUT]
    translated = story.journey.question.translated
    if not back or back[-1].packet.innermost.source == asked or not translated:
        return
    source = back[-1].packet.innermost.source
    says = (
        f"the reply came from {source} and not from {asked}, where the request went: {translated[0]} did not undo its "
        "translation, so the sender has no such connection (do its rules see the frames of its bridge?)"
    )
    look = (f"ip netns exec {translated[0]} sysctl net.bridge.bridge-nf-call-iptables",)
    yield Finding("wrong-source", says, translated[0], look=look, root=True)


# -- what was dropped -------------------------------------------------------------------------------------------------


def _dropped(story: Story) -> Iterator[Finding]:
    """The kernel says that it dropped the packet; first the question or answer itself, then errors about it."""
    own = [one for one in story.drops if one.way in (QUESTION, ANSWER)]
    for event in own[:1]:
        yield turns.from_whom(story, event, drops.explain(story, event))
    for event in [one for one in story.drops if one.way == ERROR][:1]:
        found = drops.explain(story, event)
        yield Finding(
            "icmp-lost", f"the ICMP error that would tell the sender was dropped too: {found.says}", found.netns,
            found.interface, found.look, found.reason, found.function, found.rule,
        )  # fmt: skip


def _ruled(story: Story) -> Iterator[Finding]:
    """A rule dropped it, as nftables' own trace says."""
    for event in story.verdicts[:1]:
        found = reasons.by_rule(story, event)
        if found is not None:
            yield found


# -- who said no ------------------------------------------------------------------------------------------------------


def _told(story: Story) -> Iterator[Finding]:
    """An ICMP error: who sent it, and what it says."""
    for event in story.errors:
        packet = event.packet.innermost
        sender = f"{event.netns} ({packet.source}, {who(story, packet.source)})"
        says = f"ICMP from {sender}: {icmp(packet)}"
        about = packet.about
        look: tuple[str, ...] = ()
        if about is not None and about.protocol == packets.UDP and about.dport in _ports(story):
            says += f", about the VXLAN packet to port {about.dport}"
            look = (f"ip -n {event.netns} -d link show type vxlan", f"ip netns exec {event.netns} ss -uln")
        elif about is not None:
            look = (f"ip -n {event.netns} route get {about.target}",)
        yield Finding("icmp", says, event.netns, event.interface, look)


def _ports(story: Story) -> set[int]:
    return {one.port for one in story.known.tunnels.values()}


def _reset(story: Story) -> Iterator[Finding]:
    """A reset: the kernel that sent it has nobody on that port, or a rule sent it."""
    frames = [one for one in story.events if one.kind == FRAME and one.packet.innermost.flags & packets.RST]
    frames = [one for one in frames if one.packet.innermost.protocol == packets.TCP]
    if not frames or story.recording.probe.outcome == "open":
        return
    first = frames[0]
    packet = first.packet.innermost
    if first.way == QUESTION and story.answer:
        says = f"{first.netns} got the reply and reset the connection: it has no such connection"
        yield Finding("wrong-host", says, first.netns, first.interface, (f"ip -n {first.netns} addr",))
        return
    sender = end(packet.source, packet.sport)
    if story.known.owners(packet.source) and not story.known.local(first.netns, packet.source):
        says = f"{first.netns} sent a reset in the name of {sender}, which is not its own address: a rule rejects there"
        yield Finding("reset", says, first.netns, first.interface, (f"ip netns exec {first.netns} nft list ruleset",))
        return
    says = f"a reset came from {first.netns} ({sender}): no process listens there, or a rule rejects"
    yield Finding("reset", says, first.netns, first.interface, (f"ip netns exec {first.netns} ss -tlnp",))


# -- neighbours -------------------------------------------------------------------------------------------------------


def _unanswered(story: Story) -> Iterator[Finding]:
    last = last_seen(story)
    place = last.netns if last else story.recording.probe.netns
    for netns, dev, address in [one for one in story.unanswered if one[0] == place][:1]:
        yield reasons.unanswered(story, netns, dev, address)


def _two_answers(story: Story) -> Iterator[Finding]:
    """Two have one address."""
    for address, macs in story.answers.items():
        owners = [story.known.mac_owners(mac) for mac in sorted(macs)]
        if len({places[0][0] if places else mac for places, mac in zip(owners, sorted(macs), strict=True)}) > 1:
            names = " and ".join(places[0][0] if places else "somebody" for places in owners)
            where = next((netns for netns, _, asked in story.asked if asked == address), story.recording.probe.netns)
            says = f"two answer for {address}: {names}"
            yield Finding("duplicate-address", says, where, look=(f"ip -n {where} neigh show {address}",))


# -- how far it came --------------------------------------------------------------------------------------------------


def _silent(story: Story) -> Iterator[Finding]:
    """The question arrived, and nothing came back from there."""
    if story.answer or not story.arrived_at_target:
        return
    last = story.question[-1]
    packet = last.packet.innermost
    netns = story.journey.question.netns
    port = f"{packet.dport}/{packets.NAMES.get(packet.protocol, '')}" if packet.ports else ""
    says = f"the request arrived at {netns}, and no reply left"
    if story.drops or story.errors:
        return
    if packet.protocol == packets.UDP:
        says += f": the process on port {port} did not reply, or its reply took another path"
    flag = "u" if packet.protocol == packets.UDP else "t"
    look = (f"ip netns exec {netns} ss -{flag}lnp",) if packet.ports else (f"ip -n {netns} addr",)
    yield Finding("no-answer", says, netns, story.journey.question.hops[-1].interface, look)


def _stopped(story: Story) -> Iterator[Finding]:
    """How far it came, where that is all that is known."""
    if not story.question:
        return
    left = story.answer_left if story.answer else story.question_left
    word = TITLES[ANSWER if story.answer else QUESTION]
    last = last_seen(story)
    assert last is not None
    if left is not None and left.expected is not None:
        place = left.after or left.expected
        says = f"the {word} was last seen at {last.interface} of {last.netns}; {left.expected} was expected next"
        look = _look_at(story, place, last)
        if story.source(DROPS).on and not story.drops and left.expected.direction == OUT:
            says += "; the kernel did not drop it, so it may wait there for the MAC address of its next hop"
            look = (f"ip -n {place.netns} neigh", *look)
        yield Finding("stopped", says, place.netns, place.interface, look)
    elif not story.arrived_at_target and not story.answer:
        says = f"the request was last seen at {last.interface} of {last.netns}"
        yield Finding("stopped", says, last.netns, last.interface, look_route(last.netns, last.packet.innermost, ""))


def _by_design(story: Story, told: list[Finding]) -> Iterator[Finding]:
    """The lab's own network takes it no further, and it went as far as that."""
    way = story.journey.question
    said = any(one.kind in ("service", "policy", "by-design") for one in told)
    if way.arrives or not way.says or said or story.question_left is not None or not story.question:
        return
    flow = story.flow
    here, there = (_node(story, end.name) for end in (flow.src, flow.dst))
    why = story.cluster.way(here, there)[1] if here and there else ""
    if flow.dst.kind == ADDRESS:
        why = f"nobody in this lab has the address {flow.address}"
    says = f"this is the design of the lab: {why or way.says}"
    yield Finding("by-design", says, way.netns, look=(f"netlab explain --lab {story.recording.lab} {asked(story)}",))


def _node(story: Story, pod: str) -> str:
    found = (one.node for one in story.cluster.pods if str(one) == pod and not one.host_network)
    return next(found, "")


def _look_at(story: Story, place: Hop, last: Event) -> tuple[str, ...]:
    inner = last.packet.innermost
    here = (place.netns, place.interface)
    if here in story.known.tunnels:
        return (
            f"bridge -n {place.netns} fdb show dev {place.interface}",
            f"ip -n {place.netns} neigh show dev {place.interface}",
        )
    if (here in story.known.bridges and place.direction == OUT) or story.known.master(here):
        return (f"bridge -n {place.netns} link", f"ip -n {place.netns} neigh show {inner.target}")
    return (
        *look_route(place.netns, inner, place.interface if place.direction == IN else ""),
        f"ip netns exec {place.netns} nft list ruleset",
    )


def _never_left(story: Story) -> Iterator[Finding]:
    """The sender's own kernel did not send it."""
    probe = story.recording.probe
    if not story.frames.on or story.question or story.unanswered:
        return
    netns = probe.netns
    error = f" ({probe.error})" if probe.error else ""
    says = f"the packet never left {netns}{error}"
    if probe.error in ("ENETUNREACH", "EHOSTUNREACH"):
        says += f": it has no route to {probe.address}"
    elif probe.error == "EMSGSIZE":
        says += ": it is too big for the route's MTU, and may not be cut"
        if probe.learned:
            says += f"; the kernel learned the MTU {probe.learned} of this path, and forgets it in {probe.expires} s"
    elif probe.error in ("EPERM", "EACCES"):
        says += ": a rule, a route that prohibits it, or a broadcast address, which a socket must ask for"
    look = (f"ip -n {netns} route get {probe.address}", f"ip -n {netns} addr")
    if not probe.error:
        says += ", and no error says why: it may wait there for the MAC address of its next hop"
        look = (look[0], f"ip -n {netns} neigh")
    if probe.learned:
        look = (look[0], f"ip -n {netns} {'-6 ' if ':' in probe.address else ''}route flush cache")
    yield Finding("never-left", says, netns, look=look)


# -- what deserves a word although it arrived --------------------------------------------------------------------------


def _detour(story: Story) -> Iterator[Finding]:
    for left, way in ((story.question_left, QUESTION), (story.answer_left, ANSWER)):
        if left is not None and left.went is not None and left.expected is not None:
            found = turns.wrong_turn(story, left, way)
            yield Finding(
                "detour", f"it arrived on another path: {found.says}", found.netns, found.interface, found.look
            )


def _cut(story: Story) -> Iterator[Finding]:
    for event in (*story.question, *story.answer):
        if event.packet.fragment and event.direction == OUT:
            what = "the VXLAN packet" if event.packet.inner is not None else "the packet"
            link = f"{event.interface} of {event.netns}{reasons.of_mtu(story, event.netns, event.interface)}"
            says = f"{what} was cut into fragments at {link}, which is too small for it"
            yield Finding(
                "fragmented", says, event.netns, event.interface, (f"ip -n {event.netns} link show {event.interface}",)
            )
            return


_LOST: tuple[Callable[[Story], Iterator[Finding]], ...] = (
    _translated_wrong,
    turns.turned,
    _answered_untranslated,
    _two_answers,
    _dropped,
    _ruled,
    _unanswered,
    _told,
    _reset,
    counters.overflowed,
)
# What is asked only where nothing of these has said anything: evidence that is further from the packet.
_ELSE: tuple[Callable[[Story], Iterator[Finding]], ...] = (_never_left, counters.counted, _silent, _stopped)
_ARRIVED: tuple[Callable[[Story], Iterator[Finding]], ...] = (_detour, turns.rescued, _two_answers, _cut)
