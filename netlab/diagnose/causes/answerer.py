"""Whether an answered request is one that the lab means: who replied, what the target saw, and whether it was allowed.

An open connection proves only that some host replied.  The expected host, source and permission come from the
prediction; the packet has to agree with them.  Without frames nothing is known of this, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.diagnose.annotate import end
from netlab.diagnose.causes import listeners, lookup
from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import address_owner, look_tables, probe_arguments
from netlab.diagnose.sightings.correlate import Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT
from netlab.oracle.predict import Predictor
from netlab.plan import policytext

HOST, BACKEND, SOURCE, POLICY = "wrong-host", "wrong-backend", "wrong-source", "not-enforced"
KINDS = frozenset(
    (HOST, BACKEND, SOURCE, POLICY, listeners.STOPPED)
)  # of an answered request: the answer is not what the lab means


def as_meant(story: Story, findings: Iterable[Finding]) -> bool:
    """Whether the right host replied, and to a flow that policies allow: the exit status 0 of a trace.

    Other findings about an answered request say what was odd on its path, and did no harm.
    """
    wrong = any(finding.kind in (lookup.WRONG, *KINDS) for finding in findings)
    return story.recording.probe.outcome == "open" and lookup.unresolved(story) is None and not wrong


def answered(story: Story) -> Iterator[Finding]:
    """The findings about an answered request."""
    stolen = [*translated(story)] or [*_replied_elsewhere(story)]
    yield from stolen
    if not stolen:
        yield from seen_as(story)
        yield from _not_denied(story)
        yield from listeners.unaccepted(story)


# -- who --------------------------------------------------------------------------------------------------------------


def translated(story: Story) -> Iterator[Finding]:
    """The request was translated to an address that is not its target, and not behind it: foreign rules."""
    probe, round_trip = story.recording.probe, story.round_trip
    allowed = {(probe.address, probe.port), *round_trip.backends}
    for event in story.request:
        packet = event.packet.innermost
        target = packet.target, packet.dport if probe.port else 0
        if packet.offset or target in allowed:
            continue
        whose = address_owner(story, packet.target)
        asked = end(probe.address, probe.port)
        message = f"{event.netns} translated {asked} to {end(*target)} ({whose}), "
        behind = round_trip.because is not None
        if round_trip.because is not None:
            message += f"which is not behind it: {round_trip.because.message}"
        else:
            message += f"and no rule of this lab translates {probe.address} ({address_owner(story, probe.address)})"
        if story.reply and probe.outcome == "open":
            message += f"; {story.reply[0].netns} replied"
        look = look_tables(story, event.netns)
        mark = round_trip.because.mark if round_trip.because is not None else None
        yield Finding(BACKEND if behind else HOST, message, event.netns, look=look, mark=mark, root=True)
        return


def _replied_elsewhere(story: Story) -> Iterator[Finding]:
    """The reply started in a namespace that is not the target's."""
    reply = story.reply[0] if story.reply else None
    path, probe = story.round_trip.request, story.recording.probe
    if reply is None or story.frames.lost or (path.arrives and reply.netns == path.netns and _starts(reply)):
        return
    asked = end(probe.address, probe.port)
    meant = f"{asked} ({address_owner(story, probe.address)})"
    if not _starts(reply):
        message = f"the reply came into {reply.netns} by {reply.interface} from a host that is not of this lab"
    elif path.arrives:
        message = f"{reply.netns} replied, and not {path.netns}"
    else:
        message = f"{reply.netns} replied, and no host should: {path.reason}"
    message += f": {meant} was asked"
    address = story.round_trip.backend or probe.address
    owners = {netns for netns, _ in story.topology.owners(address)}
    if reply.netns not in owners:
        message += f"; {reply.netns} treats packets to {address} as its own, or its rules redirect them"
    look = (
        f"ip -n {reply.netns} route get {address}",
        f"ip -n {reply.netns} addr show to {address}",
        *look_tables(story, reply.netns),
    )
    yield Finding(HOST, message, reply.netns, reply.interface if not _starts(reply) else "", look, root=True)


def _starts(reply: Event) -> bool:
    """Whether a packet was first seen as it left a namespace."""
    return reply.direction == OUT


# -- what the target saw ----------------------------------------------------------------------------------------------


def seen_as(story: Story) -> Iterator[Finding]:
    """The target saw another client address than the prediction's."""
    expected, target = story.round_trip.seen_as, story.round_trip.request.netns
    last = next((event for event in reversed(story.request) if event.netns == target and event.direction != OUT), None)
    if not expected or last is None or last.packet.offset or last.packet.innermost.source == expected:
        return
    seen = last.packet.innermost.source
    event = next(event for event in story.request if event.packet.innermost.source == seen)
    own = "" if expected == story.round_trip.source else f" ({address_owner(story, expected)})"
    message = (
        f"{target} saw the request come from {seen} ({address_owner(story, seen)}), and should see {expected}{own}"
    )
    message += f": it left {event.netns} with that source"
    yield Finding(SOURCE, message, event.netns, look=look_tables(story, event.netns), root=True)


# -- whether it was allowed -------------------------------------------------------------------------------------------


def _not_denied(story: Story) -> Iterator[Finding]:
    """Policies deny the request, and it was answered."""
    if not story.cluster.filters:
        return
    predictor, flow = Predictor(story.cluster), story.flow
    endings = predictor.endings(flow)
    steps = predictor.denials.steps(flow)
    if len(endings) == len(steps) > 1:
        chosen = story.round_trip.backend
        endings = tuple(ending for ending, step in zip(endings, steps, strict=True) if step.flow.address == chosen)
    denial = next(iter(endings), None)
    node = next((node for node in story.cluster.nodes if denial and node.name == denial.node), None)
    if denial is None or node is None:
        return
    whys = predictor.denials.because(denial)
    message = f"{'; '.join(why.message for why in whys)}; and the packet passed: {node.netns} does not enforce that"
    message += "" if story.cluster.enforced else " (spec.policy.enforce: none, so netlab makes no rules of policies)"
    look = (
        f"netlab explain --lab {story.recording.lab} {probe_arguments(story)}",
        f"ip netns exec {node.netns} nft list table inet {policytext.TABLE}",
    )
    mark = next((why.mark for why in whys if why.mark), None)
    policy = next((why.policy for why in whys if why.policy), "")
    yield Finding(POLICY, message, node.netns, look=look, policy=policy or "", mark=mark, root=True)


__all__ = ["KINDS", "answered", "as_meant", "seen_as", "translated"]
