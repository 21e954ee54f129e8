"""From a traced flow to the cause that explains it best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.diagnose.causes.answerer import as_meant
from netlab.diagnose.causes.fate import copies, death
from netlab.diagnose.causes.foreign import foreign as foreign_hits
from netlab.diagnose.causes.judges import weight
from netlab.diagnose.causes.needs import Needs
from netlab.diagnose.finding import Finding
from netlab.diagnose.labwide.suspects import Suspect
from netlab.diagnose.story import Story
from netlab.objects.links import Veth
from netlab.tuples import NamedTuple

_OF_LOOKUPS = ("nameserver", "no-name", "nxdomain", "resolv-conf")


class Traced(NamedTuple):
    """A trace of a broken flow, with its findings."""

    story: Story
    findings: tuple[Finding, ...]

    @property
    def answered(self) -> bool:
        """Whether the packet went as the lab means it to."""
        return as_meant(self.story, self.findings) and not any(finding.root for finding in self.findings)

    @property
    def best(self) -> Finding | None:
        """The first finding that is a cause and no deviation; else the first that is none."""
        others = [finding for finding in self.findings if finding.kind != "drift"]
        # Where the query was lost says more than that nothing answered it.
        others.sort(key=lambda finding: (finding.kind in _OF_LOOKUPS, not finding.root))
        return others[0] if others else None

    @property
    def leads(self) -> bool:
        """Whether a finding stands before the deviations."""
        first = next((finding for finding in self.findings if finding.kind not in _OF_LOOKUPS), None)
        return first.kind != "drift" if first is not None else bool(self.findings)

    @property
    def last_seen(self) -> str:
        """Where the packet ended, as a sentence."""
        story = self.story
        frames = story.reply or story.request
        role = "reply" if story.reply else "request"
        if not frames:
            return f"no packet left {story.recording.probe.netns}"
        drop = story.drops[0] if story.drops else None
        why = f", and the kernel dropped it: {drop.drop.reason}" if drop and drop.drop and drop.drop.reason else ""
        return f"the {role} was last seen at {frames[-1].interface} in {frames[-1].netns}{why}"


def suspected(traced: Traced, suspects: Sequence[Suspect]) -> list[Suspect]:
    """The suspects that this packet needed, the likeliest first: near its end, then in the order of its path."""
    story = traced.story
    lost_in = _lost_in(traced)
    needs = Needs(story, lost_in)
    hits = {(hit.rule.netns, hit.rule.family, hit.rule.table) for hit in foreign_hits(story)}
    rated = []
    for number, suspect in enumerate(suspects):
        if suspect.foreign is not None:
            table = str(getattr(suspect.foreign, "family", "")), str(getattr(suspect.foreign, "table", ""))
            rank = 1 if (suspect.netns, *table) in hits else 0
        else:
            operations = (*suspect.ops, *suspect.parts)
            rank = min((each for op in operations if (each := weight(needs, op, operations))), default=0)
        if rank:
            near = 0 if lost_in in _namespaces(suspect) else 1
            spot = 0 if (suspect.netns, suspect.interface) in needs.spots else 1
            order = (suspect.learned, near + rank, spot, needs.order.get(suspect.netns, 99), number)
            rated.append((order, suspect))
    return [suspect for _, suspect in sorted(rated, key=lambda row: row[0])]


def _lost_in(traced: Traced) -> str:
    end = death(traced.story, traced.findings, copies(traced.story)) if not traced.story.answered else None
    others = [finding for finding in traced.findings if finding.kind not in ("drift", "icmp")]
    if others:
        return others[0].netns
    return traced.story.events[end.event].netns if end is not None else traced.story.recording.probe.netns


def _namespaces(suspect: Suspect) -> Iterable[str]:
    for op in suspect.ops:
        yield op.obj.netns
        if isinstance(op.obj, Veth):
            yield op.obj.peer.netns
    yield suspect.netns
