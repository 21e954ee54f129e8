"""From evidence to findings: an ordered table of small rules; each yields findings or nothing.

The first finding is the best explanation of the evidence.  The order: deviations of the lab that the packet needed
(``deviations``), the divergence from the path (``turns``), then the kernel's drops (``drops``).  Without BPF other
evidence serves: a traced rule, an ICMP error, a reset, an unanswered neighbour request, a counter; at last, the last
sighting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address

from netlab.diagnose.annotate import end
from netlab.diagnose.causes import (
    answerer,
    counters,
    drops,
    foreign,
    impaired,
    lifetimes,
    listeners,
    lookup,
    reasons,
    sizes,
    turns,
)
from netlab.diagnose.causes.counters import last_seen
from netlab.diagnose.causes.deviations import causes
from netlab.diagnose.expected.path import Hop
from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import address_owner, look_route, look_tables, look_tunnel, look_tunnels, probe_arguments
from netlab.diagnose.packettext import icmp
from netlab.diagnose.sightings.correlate import ERROR, FRAME, REPLY, REQUEST, TITLES, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import DROPS, IN, OUT, RULES
from netlab.oracle.flow import ADDRESS
from netlab.plan.drift import Drift
from netlab.wire import packets


def findings(story: Story, drift: Drift | None = None) -> tuple[Finding, ...]:
    """The findings, best explanation first; none if request and reply went as expected."""
    findings: list[Finding] = []
    if story.recording.probe.outcome != "open":
        stolen = [*answerer.translated(story), *answerer.seen_as(story)]
        findings += stolen
        for rule in _LOST:
            if not stolen or rule not in _BY_TRANSLATION:
                findings += rule(story)
        if all(finding.kind == "icmp-lost" for finding in findings):
            findings = [*(finding for rule in _ELSE for finding in rule(story)), *findings]
        findings += _by_design(story, findings)
    else:
        findings += answerer.answered(story)
        for rule in _ARRIVED:
            if not any(finding.kind in _STOLEN for finding in findings) or rule is not _detour:
                findings += rule(story)
    hits = foreign.foreign(story)
    causing = [hit for hit in hits if foreign.caused_loss(story, hit, findings)]
    first, possible, others = (
        [foreign.finding(story, hit) for hit in chosen]
        for chosen in (
            [hit for hit in causing if hit.certain],
            [hit for hit in causing if not hit.certain],
            [hit for hit in hits if hit not in causing],
        )
    )
    drifted: list[Finding] = []
    if drift is not None and (findings or hits or not story.answered):
        netns = findings[0].netns if findings else story.recording.probe.netns
        drifted = causes(story, drift, netns)
    return (*lookup.findings(story), *_once([*first, *drifted, *possible, *findings, *others]))


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    seen: set[tuple[str, str, str]] = set()
    namespaces: set[str] = set()
    for finding in findings:
        if finding.kind == "reset" and finding.netns in namespaces:
            continue  # its cause is reported already
        if finding.kind == "icmp" and finding.netns in namespaces:
            finding = replace(finding, look=())
        namespaces |= {finding.netns} if finding.kind not in ("drift", "foreign-rule") else set()
        key = finding.kind, finding.netns, finding.message if finding.kind in ("drift", "icmp", "foreign-rule") else ""
        if key not in seen:
            seen.add(key)
            yield finding


# -- translations ------------------------------------------------------------------------------------------------------


def _answered_untranslated(story: Story) -> Iterator[Finding]:
    """The reply has another source address than the request's target: its translation was not undone."""
    home, asked = story.recording.probe.netns, story.recording.probe.address
    back = [event for event in story.reply if event.netns == home and event.direction != OUT]
    translated = story.round_trip.request.translated
    if not back or back[-1].packet.innermost.source == asked or not translated:
        return
    source = back[-1].packet.innermost.source
    message = (
        f"the reply came from {source} and not from {asked}, where the request went: {translated[0]} did not undo its "
        "translation, so the sender has no such connection"
    )
    passed = [event for event in story.reply if event.netns == translated[0]]
    look = look_tables(story, translated[0])
    if passed and all(story.topology.master(event.at) for event in passed):  # bridged, and not routed
        word = "ip6tables" if ":" in asked else "iptables"
        message += " (check that its rules see the frames of its bridge)"
        look = (f"ip netns exec {translated[0]} sysctl net.bridge.bridge-nf-call-{word}",)
    yield Finding("wrong-source", message, translated[0], look=look, root=True)


def _own_source(story: Story) -> Iterator[Finding]:
    """The request left with a link-local source, which no router forwards: the sender has no usable address."""
    home = story.recording.probe.netns
    first = next((event.packet.innermost for event in story.request if event.netns == home), None)
    if first is None or not first.source or not ip_address(first.source).is_link_local:
        return
    if ip_address(first.target).is_link_local or ip_address(first.target).is_multicast:
        return
    own = story.topology.source_for(home, first.target)
    family = "-6 " if first.version == 6 else ""
    message = f"the request left {home} with the link-local source {first.source}, which no router forwards"
    message += (
        f", and not with {own}: check that it has this address, and that the address is neither tentative nor dadfailed"
        if own
        else ""
    )
    yield Finding("wrong-source", message, home, look=(f"ip -n {home} {family}addr",), root=True)


# -- what was dropped -------------------------------------------------------------------------------------------------


def _dropped(story: Story) -> Iterator[Finding]:
    """The kernel dropped the packet: first the request or reply itself, then ICMP errors about it."""
    own = [sighting for sighting in story.drops if sighting.role in (REQUEST, REPLY)]
    for event in own[:1]:
        yield turns.from_whom(story, event, drops.explain(story, event))
    for event in [sighting for sighting in story.drops if sighting.role == ERROR][:1]:
        yield _lost_error(drops.explain(story, event))


def _lost_error(finding: Finding) -> Finding:
    message = f"the sender does not get the ICMP error about it: {finding.message}"
    return replace(finding, kind="icmp-lost", message=message)


def _ruled(story: Story) -> Iterator[Finding]:
    """A rule dropped the packet or an ICMP error about it, by nftables' own trace."""
    for roles in ((REQUEST, REPLY), (ERROR,)):
        event = next((verdict for verdict in story.verdicts if verdict.role in roles), None)
        finding = reasons.by_rule(story, event) if event is not None else None
        if finding is not None:
            yield finding if ERROR not in roles else _lost_error(finding)


# -- who said no ------------------------------------------------------------------------------------------------------


def _icmp_errors(story: Story) -> Iterator[Finding]:
    """An ICMP error: its sender and its content."""
    for event in story.errors:
        packet = event.packet.innermost
        if packet.about is not None and _time_exceeded(packet) and not story.drops:
            back = {sighting.packet.innermost.ends for sighting in story.reply}
            frames = story.reply if packet.about.innermost.ends in back else story.request
            if frames:
                yield lifetimes.over(story, frames[0].number, packet.about, event.netns, "")
        sender = f"{event.netns} ({packet.source}, {address_owner(story, packet.source)})"
        message = f"ICMP from {sender}: {icmp(packet)}"
        about = packet.about
        look: tuple[str, ...] = ()
        if about is not None and about.protocol == packets.UDP and event.netns in _homes(story, about.target):
            message += _other_sockets(story, event.netns, about)
        tunnel = about is not None and about.protocol == packets.UDP and about.dport in story.topology.tunnel_ports()
        if about is not None and tunnel:
            message += f", about the {story.tunnel} packet to port {about.dport}"
        if about is not None and tunnel and not _time_exceeded(packet):
            look = (look_tunnels(event.netns, story.tunnel), f"ip netns exec {event.netns} ss -uln")
        elif about is not None:
            look = (f"ip -n {event.netns} route get {about.target}",)
        yield Finding("icmp", message, event.netns, event.interface, look)


def _homes(story: Story, address: str) -> set[str]:
    return {netns for netns, _ in story.topology.owners(address)}


def _other_sockets(story: Story, netns: str, packet: packets.Packet) -> str:
    """What listens in a namespace that refuses a datagram, unless the kernel's drop tells it already."""
    if story.drops or netns not in story.recording.sockets:
        return ""
    other = listeners.others(story, netns, packet, "")
    return f", since no {'socket takes' if other.startswith(':') else 'process listens on'} port {packet.dport}{other}"


def _time_exceeded(packet: packets.Packet) -> bool:
    return packet.type == (3 if packet.version == 6 else 11)


def _reset(story: Story) -> Iterator[Finding]:
    """A TCP reset: the sender's kernel has no listener on the port, or a rule rejects."""
    frames = [event for event in story.events if event.kind == FRAME and event.packet.innermost.flags & packets.RST]
    frames = [event for event in frames if event.packet.innermost.protocol == packets.TCP]
    if not frames or story.recording.probe.outcome == "open":
        return
    first = frames[0]
    packet = first.packet.innermost
    if first.role == REQUEST and story.reply:
        message = f"{first.netns} got the reply and reset the connection: it has no such connection"
        yield Finding("wrong-host", message, first.netns, first.interface, (f"ip -n {first.netns} addr",))
        return
    sender = end(packet.source, packet.sport)
    if story.topology.owners(packet.source) and not story.topology.local(first.netns, packet.source):
        message = f"{first.netns} sent a reset in the name of {sender}, which is not its own address: "
        rejected = any(event.netns == first.netns for event in story.verdicts) or not story.source(RULES).on
        message += "a rule rejects there" if rejected else "it treats that address as its own, or a hook rejects"
        look = look_tables(story, first.netns) if rejected else (f"ip -n {first.netns} route get {packet.source}",)
        yield Finding("reset", message, first.netns, first.interface, look)
        return
    message = f"a reset came from {first.netns} ({sender}): {_why_reset(story, first.netns)}"
    yield Finding("reset", message, first.netns, first.interface, (f"ip netns exec {first.netns} ss -tlnp",))


def _why_reset(story: Story, netns: str) -> str:
    """Why a namespace resets what came to its own address, by its sockets if they were recorded."""
    came = next((event for event in reversed(story.request) if event.netns == netns and event.direction != OUT), None)
    if came is None or netns not in story.recording.sockets:
        return "no process listens there, or a rule rejects"
    packet = came.packet.innermost
    if listeners.taker(story, netns, packet, came.interface) is not None:
        return "a process listens there, so a rule rejects"
    other = listeners.others(story, netns, packet, came.interface)
    return f"no {'socket takes' if other.startswith(':') else 'process listens on'} that port{other}"


# -- neighbours -------------------------------------------------------------------------------------------------------


def _unanswered(story: Story) -> Iterator[Finding]:
    last = last_seen(story)
    home = last.netns if last else story.recording.probe.netns
    for netns, dev, address in [key for key in story.unresolved if key[0] == home][:1]:
        yield reasons.unanswered(story, netns, dev, address)


def _two_answers(story: Story) -> Iterator[Finding]:
    """Two hosts have the same address."""
    for address, macs in story.neighbour_replies.items():
        owners = [story.topology.mac_owners(mac) for mac in sorted(macs)]
        if len({holders[0][0] if holders else mac for holders, mac in zip(owners, sorted(macs), strict=True)}) > 1:
            names = " and ".join(holders[0][0] if holders else "somebody" for holders in owners)
            where = next(
                (netns for netns, _, asked in story.neighbour_requests if asked == address), story.recording.probe.netns
            )
            message = f"two hosts answer for {address}: {names}"
            yield Finding("duplicate-address", message, where, look=(f"ip -n {where} neigh show {address}",))


# -- how far it came --------------------------------------------------------------------------------------------------


def _silent(story: Story) -> Iterator[Finding]:
    """The request arrived, but no reply left."""
    if story.reply or not story.arrived_at_target:
        return
    last = story.request[-1]
    packet = last.packet.innermost
    netns = story.round_trip.request.netns
    port = f"{packet.dport}/{packets.NAMES.get(packet.protocol, '')}" if packet.ports else ""
    message = f"the request arrived at {netns}, and no reply left"
    if story.drops or story.errors:
        return
    if packet.protocol == packets.UDP:
        message += f": the process on port {port} did not reply, or its reply took another path"
    flag = "u" if packet.protocol == packets.UDP else "t"
    look = (f"ip netns exec {netns} ss -{flag}lnp",) if packet.ports else (f"ip -n {netns} addr",)
    yield Finding("no-answer", message, netns, story.round_trip.request.hops[-1].interface, look)


def _stopped(story: Story) -> Iterator[Finding]:
    """The last sighting, if nothing else is known."""
    if not story.request:
        return
    left = story.reply_left if story.reply else story.request_left
    word = TITLES[REPLY if story.reply else REQUEST]
    last = last_seen(story)
    assert last is not None
    if left is not None and left.expected is not None:
        hop = left.after or left.expected
        message = f"the {word} was last seen at {last.interface} of {last.netns}; {left.expected} was expected next"
        look = _look_at(story, hop, last)
        if story.source(DROPS).on and not story.drops and left.expected.direction == OUT:
            message += (
                "; the kernel did not drop it, so it may wait there, in a queue or for its next hop's MAC address"
            )
            queue = f"tc -n {left.expected.netns} -s qdisc show dev {left.expected.interface}"
            look = (f"ip -n {hop.netns} neigh", queue, *look)
        yield Finding("stopped", message, hop.netns, hop.interface, look)
    elif not story.arrived_at_target and not story.reply:
        message = f"the request was last seen at {last.interface} of {last.netns}"
        yield Finding("stopped", message, last.netns, last.interface, look_route(last.netns, last.packet.innermost, ""))


def _by_design(story: Story, findings: list[Finding]) -> Iterator[Finding]:
    """The lab's network is not meant to carry the packet further."""
    path = story.round_trip.request
    explained = any(finding.kind in ("service", "policy", "by-design") for finding in findings)
    if path.arrives or not path.reason or explained or story.request_left is not None or not story.request:
        return
    flow = story.flow
    here, there = (_node(story, end.name) for end in (flow.src, flow.dst))
    why = story.cluster.carries(here, there)[1] if here and there else ""
    if flow.dst.kind == ADDRESS:
        why = f"nobody in this lab has the address {flow.address}"
    message = f"this is the design of the lab: {why or path.reason}"
    yield Finding(
        "by-design", message, path.netns, look=(f"netlab explain --lab {story.recording.lab} {probe_arguments(story)}",)
    )


def _node(story: Story, name: str) -> str:
    nodes = (pod.node for pod in story.cluster.pods if str(pod) == name and not pod.host_network)
    return next(nodes, "")


def _look_at(story: Story, hop: Hop, last: Event) -> tuple[str, ...]:
    inner = last.packet.innermost
    here = hop.at
    if here in story.topology.tunnels:
        return look_tunnel(story, here, inner)
    if (here in story.topology.bridges and hop.direction == OUT) or story.topology.master(here):
        return (f"bridge -n {hop.netns} link", f"ip -n {hop.netns} neigh show {inner.target}")
    route = look_route(hop.netns, inner, hop.interface if hop.direction == IN else "")
    return (*route, *look_tables(story, hop.netns))


def _never_left(story: Story) -> Iterator[Finding]:
    """The sender's own kernel did not send the packet."""
    probe = story.recording.probe
    if not story.frames.on or story.request or story.unresolved:
        return
    netns = probe.netns
    error = f" ({probe.error})" if probe.error else ""
    message = f"the packet never left {netns}{error}"
    if story.recording.port_range:
        message += f": {netns} has no free port for it in net.ipv4.ip_local_port_range ({story.recording.port_range})"
        look = (
            f"ip netns exec {netns} ss -{'u' if probe.protocol == 'UDP' else 't'}anp",
            f"ip netns exec {netns} sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports",
        )
        yield Finding("no-source-port", message, netns, look=look, root=True)
        return
    if probe.error in ("ENETUNREACH", "EHOSTUNREACH"):
        message += f": it has no route to {probe.address}"
    elif probe.error == "EMSGSIZE":
        message += ": it is too big for the route's MTU, and may not be cut"
        if probe.learned:
            message += f"; the kernel learned the MTU {probe.learned} of this path, and forgets it in {probe.expires} s"
    elif probe.error in ("EPERM", "EACCES"):
        message += ": a rule, a route that prohibits it, or a broadcast address, which a socket must ask for"
    look = (f"ip -n {netns} route get {probe.address}", f"ip -n {netns} addr")
    if not probe.error:
        message += ", and no error says why: it may wait there for the MAC address of its next hop"
        look = (look[0], f"ip -n {netns} neigh")
    if probe.learned:
        look = (look[0], f"ip -n {netns} {'-6 ' if ':' in probe.address else ''}route flush cache")
    yield Finding("never-left", message, netns, look=look)


# -- what deserves a word although it arrived --------------------------------------------------------------------------


def _detour(story: Story) -> Iterator[Finding]:
    for left, role in ((story.request_left, REQUEST), (story.reply_left, REPLY)):
        if left is None or left.expected is None:
            continue
        if left.went is None:
            if not story.frames.why:  # else the missing sighting proves nothing
                message = f"it was answered, but the {TITLES[role]} did not take the expected path: {left}"
                yield Finding("detour", message, left.netns)
        else:
            finding = turns.wrong_turn(story, left, role)
            yield Finding(
                "detour",
                f"it arrived on another path: {finding.message}",
                finding.netns,
                finding.interface,
                finding.look,
            )


def _resent(story: Story) -> Iterator[Finding]:
    """Data of an answered connection was too big for a link, and was sent again in smaller parts."""
    for event in story.errors:
        mtu = event.packet.innermost.mtu
        if mtu and story.recording.probe.outcome == "open":
            message = f"{event.netns} reported MTU {mtu} to the sender, since a packet was too big for its next link"
            message += "; the kernel sent the data again in smaller packets"
            yield Finding("mtu", message, event.netns, look=(f"ip -n {event.netns} link",))
            return


def _cut(story: Story) -> Iterator[Finding]:
    for event in (*story.request, *story.reply):
        if event.packet.fragment and event.direction == OUT:
            noun = f"the {event.packet.tunnel} packet" if event.packet.inner is not None else "the packet"
            link = f"{event.interface} of {event.netns}{sizes.of_mtu(story, event.netns, event.interface)}"
            message = f"{noun} was cut into fragments at {link}, which is too small for it"
            yield Finding(
                "fragmented",
                message,
                event.netns,
                event.interface,
                (f"ip -n {event.netns} link show {event.interface}",),
            )
            return


_LOST: tuple[Callable[[Story], Iterator[Finding]], ...] = (
    _own_source,
    turns.turned,
    _answered_untranslated,
    _two_answers,
    _dropped,
    _ruled,
    impaired.lost_neighbours,
    _unanswered,
    _icmp_errors,
    _reset,
    listeners.busy,
    counters.overflowed,
)
# What a foreign translation of the request explains.
_BY_TRANSLATION = (turns.turned, _answered_untranslated)
_STOLEN = frozenset((answerer.HOST, answerer.BACKEND, answerer.SOURCE))
# The fallback, if none of these has a finding: less direct evidence.
_ELSE: tuple[Callable[[Story], Iterator[Finding]], ...] = (
    impaired.possible,
    _never_left,
    counters.counted,
    _silent,
    _stopped,
)
_ARRIVED: tuple[Callable[[Story], Iterator[Finding]], ...] = (_detour, _resent, turns.rescued, _two_answers, _cut)
