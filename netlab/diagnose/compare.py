"""Compare a traced packet with its prediction: outcome and path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.diagnose.causes import answerer, lookup
from netlab.diagnose.finding import Finding
from netlab.diagnose.sightings.correlate import REPLY, REQUEST, TITLES
from netlab.diagnose.story import Story
from netlab.oracle.flow import Outcome, Verdict
from netlab.values import dataclass

_CHANGED = ("detour", "foreign-rule")  # the packet is not the predicted one, or not on its path
_DENIED = (Outcome.TIMEOUT, Outcome.REFUSED, Outcome.UNREACHABLE)
_NOBODY, _NOBODY_UDP = (Outcome.REFUSED,), (Outcome.REFUSED, Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``predicted`` is None without a prediction; ``differences`` are sentences.

    ``own``: the network delivered the packet, but a container's own command does not reply, which is not predictable.
    ``nameless``: the target's name does not exist, in the lab either.
    """

    predicted: Verdict | None
    observed: str
    differences: tuple[str, ...]
    own: bool = False
    nameless: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the packet behaved as predicted."""
        return not self.differences

    def lines(self) -> Iterator[str]:
        """Lines of text for the reader."""
        if self.nameless and self.agrees:
            yield "as predicted: no object of this lab has the name"
        elif self.predicted is None and self.agrees:
            yield f"not predicted: only TCP and UDP are; the result is {self.observed}"
        elif self.agrees:
            own = ", by the container itself: its command has that port, and does not answer" if self.own else ""
            yield f"as predicted: {self.observed}{own}"
        for difference in self.differences:
            yield f"not as predicted: {difference}"


def compare(story: Story, findings: Sequence[Finding], predicted: Verdict | None) -> Comparison:
    """Compare a story with the prediction for its flow."""
    seen = Outcome(story.recording.probe.outcome)
    denied = next((finding for finding in findings if finding.kind == "policy"), None)
    observed = Outcome.DENIED if denied is not None and seen in _DENIED else seen
    differences: list[str] = []
    own = False
    if predicted is None:
        agree = observed in (Outcome.OPEN, Outcome.DENIED)  # a denial by policy is intended
    else:
        may = (predicted, *predicted.may)
        own = story.arrived_at_target and any(verdict.own and verdict.outcome is Outcome.OPEN for verdict in may)
        own = own and observed in (_NOBODY_UDP if story.flow.protocol == "UDP" else _NOBODY)
        agree = own or any(_agree(verdict.outcome, observed) for verdict in may)
    if predicted is not None and not agree:
        because = f" ({predicted.because[0].message})" if predicted.because else ""
        differences.append(f"the prediction is {predicted.outcome}{because}, the result is {observed}")
    if predicted is None and not agree and story.round_trip.reply is not None and story.round_trip.reply.arrives:
        differences.append(f"the lab's paths lead to {story.flow.dst.name} and back, the result is {observed}")
    # a denial that did not happen is a difference of the outcome already
    differences += [
        finding.message
        for finding in findings
        if (finding.kind in answerer.KINDS and (agree or finding.kind != answerer.POLICY)) or finding.kind in _CHANGED
    ]
    for role, left in ((REQUEST, story.request_left), (REPLY, story.reply_left)):
        # the end of a denied flow is no difference, but a divergence is
        if left is not None and (left.went is not None or not agree):
            differences.append(f"the {TITLES[role]} left its expected path: {left}")
    lost = lookup.unresolved(story)
    if lost is not None and observed is Outcome.OPEN:  # the query's reply says that there is no such name
        observed = Outcome.ERROR
        if wanted := lookup.meant(story, lost):
            differences.append(f"{lost.name} was not resolved, and in this lab it is {min(wanted)}")
    return Comparison(predicted, str(observed), tuple(differences), own, lost is not None and observed is Outcome.ERROR)


def _agree(predicted: Outcome, observed: Outcome) -> bool:
    if predicted is Outcome.DENIED:
        return observed is Outcome.DENIED
    return predicted is observed or (
        # the timeout decides between silence and an ICMP error
        {predicted, observed} == {Outcome.TIMEOUT, Outcome.UNREACHABLE}
    )
