"""A set's test as it ended: its rows, what else is wrong, and the exit status that follows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from netlab.errors import Exit
from netlab.lint import strict
from netlab.oracle.compare import Row, check
from netlab.oracle.explain import judged
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.predict import Predictor
from netlab.spec import Warning
from netlab.testing.prepared import Prepared
from netlab.testing.workloads import Workloads
from netlab.values import dataclass


@dataclass(frozen=True)
class Result:
    """``observed`` is None where no packet was sent; ``findings`` are those of lint that were not ignored."""

    prepared: Prepared
    rows: tuple[Row, ...]
    predicted: Mapping[Flow, Verdict]
    observed: Mapping[Flow, Verdict] | None
    findings: tuple[Warning, ...]
    seconds: float
    is_strict: bool = False

    @property
    def failed(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if not row.ok)

    @property
    def errors(self) -> tuple[Warning, ...]:
        """The findings that make a test fail."""
        return tuple(
            strict(self.findings)
            if self.is_strict
            else (finding for finding in self.findings if finding.level == "error")
        )

    @property
    def verdicts(self) -> Mapping[Flow, Verdict]:
        """What packets found, or what is predicted; in one order, whichever packets came first."""
        if self.observed is None:
            return self.predicted
        return {flow: self.observed[flow] for flow in self.predicted if flow in self.observed}

    @property
    def status(self) -> Exit:
        """Exit status of this set alone."""
        if not self.prepared.flows:
            return Exit.BAD_INPUT
        if any(row.observed is not None and row.observed.outcome is Outcome.ERROR for row in self.rows):
            return Exit.REFUSED
        return Exit.NO if self.failed or self.errors else Exit.OK

    @property
    def workloads(self) -> Workloads:
        return Workloads(self.prepared.cluster)


def judge(
    prepared: Prepared,
    observed: Mapping[Flow, Verdict] | None,
    seconds: float,
    *,
    is_strict: bool = False,
    findings: tuple[Warning, ...] | None = None,
    looked: tuple[Row, ...] = (),
) -> Result:
    """Lay expectations, predictions and packets side by side; ``looked`` are the rows of lookups."""
    predictor = Predictor(prepared.cluster)
    predicted = predictor.answer(prepared.flows)
    rows = check(prepared.wanted, predicted, observed or {}, partial(judged, predictor.denials), evidence=True)
    kept = prepared.findings if findings is None else findings
    return Result(prepared, (*rows, *looked), predicted, observed, kept, seconds, is_strict)
