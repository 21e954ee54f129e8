"""A traced packet held against the oracle: what should have become of it, what did, and which way it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netlab.diagnose.correlate import ANSWER, QUESTION, TITLES
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.oracle.flow import Outcome, Verdict
from netlab.output import trace as output

_DENIED = (Outcome.TIMEOUT, Outcome.REFUSED, Outcome.UNREACHABLE)
_NOBODY, _NOBODY_UDP = (Outcome.REFUSED,), (Outcome.REFUSED, Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``predicted`` is None where the oracle has no opinion; ``differences`` are sentences, none where all agrees.

    ``own``: the network let it through, and a container's own command does not answer, which no cluster tells.
    """

    predicted: Verdict | None
    observed: str
    differences: tuple[str, ...]
    own: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the packet did what it should."""
        return not self.differences

    def lines(self) -> Iterator[str]:
        """For a reader."""
        if self.predicted is None and self.agrees:
            yield f"not predicted: only TCP and UDP are; the result is {self.observed}"
        elif self.agrees:
            own = ", by the container itself: its command has that port, and does not answer" if self.own else ""
            yield f"as predicted: {self.observed}{own}"
        for one in self.differences:
            yield f"not as predicted: {one}"

    def document(self) -> output.Comparison:
        """The same as a document."""
        return output.Comparison(
            predicted=self.predicted.outcome.value if self.predicted else None,
            observed=Outcome(self.observed).value,
            agrees=self.agrees,
            differences=self.differences,
        )


def compare(story: Story, told: Sequence[Finding], predicted: Verdict | None) -> Comparison:
    """Hold a story against the oracle's verdict on its flow."""
    seen = Outcome(story.recording.probe.outcome)
    denied = next((one for one in told if one.kind == "policy"), None)
    observed = Outcome.DENIED if denied is not None and seen in _DENIED else seen
    said: list[str] = []
    own = False
    if predicted is None:
        agree = observed in (Outcome.OPEN, Outcome.DENIED)  # a policy that ends it is meant to
    else:
        may = (predicted, *predicted.may)
        own = story.arrived_at_target and any(one.own and one.outcome is Outcome.OPEN for one in may)
        own = own and observed in (_NOBODY_UDP if story.flow.protocol == "UDP" else _NOBODY)
        agree = own or any(_agree(one.outcome, observed) for one in may)
    if predicted is not None and not agree:
        because = f" ({predicted.because[0].says})" if predicted.because else ""
        said.append(f"the prediction is {predicted.outcome}{because}, the result is {observed}")
    for way, left in ((QUESTION, story.question_left), (ANSWER, story.answer_left)):
        # where a flow that is to end does end is no difference; a wrong turn is one all the same
        if left is not None and (left.went is not None or not agree):
            said.append(f"the {TITLES[way]} left its expected path: {left}")
    return Comparison(predicted, str(observed), tuple(said), own)


def _agree(predicted: Outcome, observed: Outcome) -> bool:
    if predicted is Outcome.DENIED:
        return observed is Outcome.DENIED
    return predicted is observed or (
        # whether silence or an ICMP error comes first is a matter of patience
        {predicted, observed} == {Outcome.TIMEOUT, Outcome.UNREACHABLE}
    )
