"""Impaired links of the lab: what they did to the packet, or may have done.

A lab that says ``loss: 1%`` gets it: a packet that such a link loses is no fault, and the cause is a line of the lab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from netlab.diagnose.expected.topology import Interface
from netlab.diagnose.finding import Finding
from netlab.diagnose.sightings.correlate import DROP, NEIGHBOUR, REPLY, REQUEST, RULES, TITLES, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT
from netlab.model.cluster.impairments import UP, Impairment
from netlab.objects import Floor, Key
from netlab.plan.impairments import TABLE
from netlab.tuples import NamedTuple

KIND = "impairment"
WORDS: Mapping[str, Literal["request", "reply"]] = {REQUEST: "request", REPLY: "reply"}


class Sender(NamedTuple):
    """The interface whose sent packets are impaired."""

    at: Interface
    impairment: Impairment

    @property
    def text(self) -> str:
        """``node-1 sends over the link between node-1 and underlay with delay 20ms``."""
        link = self.impairment.link
        by_hand = "" if self.impairment.mark else " (netlab link)"
        return f"{link.sender(self.impairment.direction)} sends over the link between {link.title} with {self.impairment.values}{by_hand}"


def senders(story: Story) -> list[Sender]:
    """All impaired directions of the lab."""
    findings = []
    for impairment in story.cluster.impairments:
        lower = impairment.link.netns, impairment.link.dev
        at = lower if impairment.direction == UP else story.topology.peers.get(lower)
        if at is not None:
            findings.append(Sender(at, impairment))
    return findings


def passed(story: Story) -> list[tuple[str, Sender]]:
    """The impaired directions on the paths of request and reply, in their order, each with the role of the packet."""
    impaired = {sender.at: sender for sender in senders(story)} if story.cluster.impairments else {}
    passed = []
    for role, path, seen in (
        (REQUEST, story.round_trip.request, story.request),
        (REPLY, story.round_trip.reply, story.reply),
    ):
        ends = [hop.at for hop in path.hops if hop.direction == OUT] if path else []
        ends += [event.at for event in seen if event.direction == OUT]
        passed += [(role, impaired[end]) for end in dict.fromkeys(ends) if end in impaired]
    return passed


def of_drop(story: Story, event: Event) -> Finding | None:
    """The finding for a packet that a qdisc or a rule of an impaired end dropped; None if it was not one."""
    at = event.at
    if event.judgement is not None:  # a rule's packet has no interface; the chain has its name
        at = event.netns, event.judgement.steps[-1].chain if event.judgement.table == TABLE else ""
    for sender in senders(story):
        values = sender.impairment.values
        if sender.at == at and (values.loss or values.rate):
            word = "neighbour request or its reply" if event.role == NEIGHBOUR else TITLES.get(event.role, "packet")
            cause = "lost" if values.loss else "has no room for"
            return _finding(story, sender, f"an impaired link {cause} the {word}")
    return None


def lost_neighbours(story: Story) -> Iterator[Finding]:
    """Impaired links that lost a neighbour request or its reply, or may have."""
    for event in story.events:
        dropped = event.kind == DROP or (event.kind == RULES and event.judgement and event.judgement.verdict == "drop")
        if event.role == NEIGHBOUR and dropped and (finding := of_drop(story, event)):
            yield finding
            return
    for netns, _, address in story.unresolved:
        near = {netns, *(owner for owner, _ in story.topology.owners(address))}
        for sender in senders(story):
            if sender.impairment.values.loss and sender.impairment.link.netns in near:
                yield _finding(
                    story, sender, f"an impaired link may have lost the neighbour request for {address} or its reply"
                )
                return


def possible(story: Story) -> Iterator[Finding]:
    """Impaired links on the path that may explain a missing reply: the nearest to where the packet was last seen."""
    left = story.reply_left if story.reply else story.request_left
    role = REPLY if story.reply else REQUEST
    there = [sender for where, sender in passed(story) if where == role]
    expected = left.expected.at if left and left.expected else None
    for sender in sorted(there, key=lambda each: each.at != expected):
        values = sender.impairment.values
        may = []
        if values.loss:
            may.append("have lost")
        if values.corrupt:
            may.append("have corrupted")
        if values.delay or values.rate:
            may.append("still hold")
        if may:
            yield _finding(
                story,
                sender,
                f"an impaired link may {' or '.join(may)} the {TITLES[role]}, or the neighbour request before it",
            )
            return


def _finding(story: Story, sender: Sender, deed: str) -> Finding:
    netns, dev = sender.at
    look = f"tc -n {netns} -s qdisc show dev {dev}"
    if sender.impairment.values.loss and Key(Floor.QDISC, netns, f"{dev} root netem") not in story.want:
        look = f"ip netns exec {netns} nft list ruleset"
    commands = look, f"netlab link {sender.impairment.link.lower} --lab {story.recording.lab}"
    return Finding(KIND, f"{deed}: {sender.text}", netns, dev, commands, mark=sender.impairment.mark, root=True)


def lines(story: Story, findings: Sequence[Finding]) -> Iterator[str]:
    """The impaired directions on the path, for the reader of a report, without those that findings name."""
    named = {(finding.netns, finding.interface) for finding in findings if finding.kind == KIND}
    for role, sender in passed(story):
        if sender.at in named:
            continue
        source = f" ({sender.impairment.mark})" if sender.impairment.mark else ""
        yield f"impaired, the {TITLES[role]}: {sender.text}{source}"


def corrupting(story: Story) -> str:
    """The rest of a sentence about a wrong checksum: a link on the path that corrupts packets."""
    for _, sender in passed(story):
        if sender.impairment.values.corrupt:
            return f"; {sender.text}"
    return ""
