"""Which sightings are a bridge's flooded copies, and where a lost packet died."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from netlab.diagnose.finding import Finding
from netlab.diagnose.sightings.correlate import FRAME, NEIGHBOUR, REPLY, REQUEST, RULES, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT
from netlab.oracle.flow import Outcome
from netlab.tuples import NamedTuple


def copies(story: Story) -> frozenset[int]:
    """The indexes of the events of flooded copies: the branches that the packet itself did not take.

    The packet itself is on the branch that follows its expected path for longest.  Where none of them does, all are
    copies.  Neighbour requests are meant for everybody.
    """
    return _Copies(story).indexes()


class _Copies:
    def __init__(self, story: Story) -> None:
        self._events, self._story = story.events, story
        self._children: dict[int, list[int]] = defaultdict(list)
        for index, event in enumerate(self._events):
            if event.after is not None:
                self._children[event.after].append(index)

    def indexes(self) -> frozenset[int]:
        copies: set[int] = set()
        for parent, children in self._children.items():
            branches = self._branches(self._events[parent], children)
            if len(branches) > 1:
                scores = [max(map(self._score, branch)) for branch in branches]
                best = scores.index(max(scores)) if any(scores) else -1
                for number, branch in enumerate(branches):
                    if number != best:
                        copies.update(*map(self._below, branch))
        return frozenset(copies)

    def _branches(self, parent: Event, children: Sequence[int]) -> list[list[int]]:
        """The frames that left at once: by several ports of a bridge, or to several ends of a tunnel."""
        if parent.role == NEIGHBOUR:
            return []
        branches: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index in children:
            event = self._events[index]
            if event.kind == FRAME and event.direction == OUT:
                branches[event.interface, event.packet.target if event.packet.inner else ""].append(index)
        return list(branches.values())

    def _score(self, index: int) -> int:
        """The length of the expected path that is passed from an event on."""
        event = self._events[index]
        path = self._story.round_trip.reply if event.role == REPLY else self._story.round_trip.request
        passed = {self._events[each].at for each in self._below(index) if self._events[each].kind == FRAME}
        return len(passed & {hop.at for hop in path.hops}) if path is not None else 0

    def _below(self, index: int) -> set[int]:
        """An event and all that follow it; not recursive, since a packet that loops has a thousand sightings."""
        below: set[int] = set()
        todo = [index]
        while todo:
            event = todo.pop()
            below.add(event)
            todo += self._children.get(event, ())
        return below


class Death(NamedTuple):
    """The end of a lost packet: ``event`` is the index of the drop, of the verdict, or of the last sighting.

    ``interface`` is where it was last seen in that namespace; ``hook`` that of the rules that dropped it.
    """

    event: int
    interface: str
    hook: str


def death(story: Story, findings: Sequence[Finding], copied: frozenset[int]) -> Death | None:
    """Where the request died, or the reply of a request that arrived; None if a reply came or nothing was seen."""
    if story.recording.probe.outcome == Outcome.OPEN:
        return None
    own = [index for index, event in enumerate(story.events) if event.role in (REQUEST, REPLY) and index not in copied]
    kernel = {id(event) for event in story.drops}
    dropped = [index for index in own if id(story.events[index]) in kernel]
    verdicts = [index for index in own if _verdict(story.events[index]) in ("drop", "reject")]
    if dropped or verdicts:
        index = (dropped or verdicts)[0]
        event = story.events[index]
        judged = [each for each in verdicts if _same(story.events[each], event)]
        hook = story.events[judged[-1]].judgement if judged else None
        return Death(index, _interface(story, index, findings), hook.hook if hook else "")
    lost = story.reply if story.recording.probe.outcome == Outcome.TIMEOUT and story.reply else story.request
    seen = [index for index in own if any(story.events[index] is event for event in lost)]
    return Death(seen[-1], story.events[seen[-1]].interface, "") if seen else None


def _verdict(event: Event) -> str:
    return event.judgement.verdict if event.kind == RULES and event.judgement else ""


def _same(event: Event, other: Event) -> bool:
    return (event.netns, event.number) == (other.netns, other.number)


def _interface(story: Story, index: int, findings: Sequence[Finding]) -> str:
    event = story.events[index]
    if event.after is not None and story.events[event.after].netns == event.netns:
        return story.events[event.after].interface
    here = (finding.interface for finding in findings if finding.netns == event.netns and finding.interface)
    return next(here, event.interface)
