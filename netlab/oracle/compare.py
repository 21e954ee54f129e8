"""Three answers to one question, side by side: what the author expects, what the oracle predicts, what packets found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from netlab.evidence.records import Lookup
from netlab.model.cluster import Cluster
from netlab.model.topology.places import places
from netlab.objects import Why
from netlab.oracle.expect import ALLOW, DENY
from netlab.oracle.explain import Judged, briefly
from netlab.oracle.explained import path_fields
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.report import flow_fields, lookup_document
from netlab.oracle.resolve import Expectation
from netlab.output import flows as output
from netlab.output.changes import Notice
from netlab.tuples import NamedTuple

_DROPPED = (Outcome.TIMEOUT, Outcome.DENIED, Outcome.UNREACHABLE)
_WITH_REASON = tuple(outcome for outcome in Outcome if outcome is not Outcome.OPEN)
_AMONG = 3  # replicas that a line names before it only counts


class Row(NamedTuple):
    """One flow's answers; ``observed`` is None where no packet was sent, ``message`` is empty where all agree.

    ``paths``: of a failure by policies, the judged paths that show why.
    """

    flow: Flow
    expectation: Expectation | None
    predicted: Verdict | None
    observed: Verdict | None
    message: str = ""
    paths: tuple[Judged, ...] = ()
    lookup: Lookup | None = None

    @property
    def ok(self) -> bool:
        return not self.message

    @property
    def verdict(self) -> Verdict | None:
        """What is judged: the packets' answer, or the oracle's where there was none."""
        return self.observed or self.predicted


def check(
    expected: Mapping[Flow, Expectation],
    predicted: Mapping[Flow, Verdict],
    observed: Mapping[Flow, Verdict],
    judge: Callable[[Flow], Iterable[Judged]] = lambda _: (),
    *,
    evidence: bool = False,
) -> list[Row]:
    """A row for each flow that anybody speaks of: first the expected ones, then what else was observed.

    ``judge`` has the reasons of the policies about a flow that failed.  ``evidence``: what is as expected must also be so
    for a reason (``without_evidence``).
    """
    asked = list(dict.fromkeys((*expected, *observed))) or list(predicted)
    rows = []
    for flow in asked:
        row = Row(flow, expected.get(flow), predicted.get(flow), observed.get(flow))
        row = row._replace(message=_disagreement(row) or (without_evidence(row) if evidence else ""))
        rows.append(row if row.ok else row._replace(paths=_telling(row, judge)))
    return rows


def without_evidence(row: Row) -> str:
    """What a flow that is as expected lacks to be so for the right reason; empty where it lacks nothing.

    An allowed flow needs the Pod that answered.  A denied one needs the policy, or a loss on the way that the cluster
    explains: not a port that nobody serves, an address that nobody has, or a Service that nobody stands behind.
    """
    verdict, expect = row.verdict, row.expectation.expect if row.expectation else ""
    if verdict is None or expect not in (ALLOW, DENY, Outcome.DENIED):
        return ""
    if verdict.may:
        own = (
            [backend for backend in verdict.may if backend.flow.src.netns != backend.flow.dst.netns]
            if expect != ALLOW
            else verdict.may
        )
        oracle = {backend.flow: backend for backend in row.predicted.may} if row.predicted else {}
        each = (_lacks(expect, backend, oracle.get(backend.flow), packets=row.observed is not None) for backend in own)
        return next(filter(None, each), "")
    return _lacks(expect, verdict, row.predicted, packets=row.observed is not None)


def _lacks(expect: str, verdict: Verdict, predicted: Verdict | None, *, packets: bool) -> str:
    if expect == ALLOW:
        if verdict.outcome is not Outcome.OPEN:
            return f"expected {expect}, but no process serves {verdict.flow.port}/{verdict.flow.protocol} there: got {verdict.outcome}"
        return (
            f"expected {expect}, but the reply names no server"
            if packets and verdict.asked and not verdict.server
            else ""
        )
    if verdict.outcome is Outcome.DENIED and any(why.policy for why in verdict.because):
        return ""
    reasons = predicted.because if predicted and predicted.outcome is verdict.outcome else ()
    lost = verdict.outcome in (Outcome.TIMEOUT, Outcome.UNREACHABLE) and predicted is not None and not predicted.unowned
    if lost and reasons:
        return ""
    why = f": {reasons[0].message}" if reasons else ""
    return f"expected {expect}, and no policy denies it: got {verdict.outcome}{why}"


def _telling(row: Row, judge: Callable[[Flow], Iterable[Judged]]) -> tuple[Judged, ...]:
    """The paths that show why a flow failed: those that pass where a denial was expected, else those denied."""
    verdicts = [verdict for verdict in (row.observed, row.predicted) if verdict]
    outcomes = {each.outcome for verdict in verdicts for each in (verdict, *verdict.may)}
    unwanted = row.expectation is not None and row.expectation.expect in (DENY, Outcome.DENIED)
    if not unwanted and Outcome.DENIED not in outcomes:
        return ()
    paths = list(judge(row.flow))
    passing = [path for path in paths if path.passes]
    return tuple(passing) if unwanted and passing else tuple(path for path in paths if not path.passes)


def meets(expect: str, verdict: Verdict, predicted: Verdict | None) -> bool:
    """Whether an answer is what was expected.

    A refusal by the Pod itself means that the network let the flow through, so it is ``allow`` where the oracle knows
    that nobody listens there, and ``deny`` where somebody does.
    """
    outcome = verdict.outcome
    if verdict.wrong_server:
        return False
    if verdict.may and expect in (ALLOW, DENY):
        return _all_meet(expect, verdict, predicted)
    if expect in (ALLOW, DENY):
        own_refusal = predicted is not None and outcome is Outcome.REFUSED and _own(predicted, verdict)
        if expect == ALLOW:
            return outcome is Outcome.OPEN or own_refusal
        # A Service without an endpoint neither lets a flow through nor denies it.
        deserted = predicted is not None and predicted.deserted
        return outcome in _DROPPED or (outcome is Outcome.REFUSED and not own_refusal and not deserted)
    # without evidence a denial is a time-out, or a refusal: an author who expects these is not wrong to
    return outcome == expect or (outcome is Outcome.DENIED and expect in (Outcome.TIMEOUT, Outcome.REFUSED))


def _all_meet(expect: str, verdict: Verdict, predicted: Verdict | None) -> bool:
    """Whether every backend of a Service is as expected; no policy can be expected to deny a Pod to itself."""
    oracle = predicted.may if predicted and len(predicted.may) == len(verdict.may) else (None,) * len(verdict.may)
    pairs = list(zip(verdict.may, oracle, strict=True))
    if expect == DENY:
        pairs = [pair for pair in pairs if pair[0].flow.src.netns != pair[0].flow.dst.netns] or pairs
    return all(meets(expect, backend, other) for backend, other in pairs)


def agree(predicted: Verdict, observed: Verdict) -> bool:
    """Whether packets did what the oracle said; a denial is one only with its evidence (``denials``), not by silence."""
    if observed.wrong_server:
        return False
    if predicted.may and len(predicted.may) == len(observed.may):
        if {verdict.outcome for verdict in predicted.may} == {Outcome.DENIED, Outcome.TIMEOUT}:
            # No attempt tells which backend it was for, so the deny rule's counter cannot account for all.
            return all(verdict.outcome in (Outcome.DENIED, Outcome.TIMEOUT) for verdict in observed.may)
        return all(agree(verdict, other) for verdict, other in zip(predicted.may, observed.may, strict=True))
    if predicted.may:
        return any(agree(verdict, observed) for verdict in predicted.may)
    if not predicted.allows(observed.outcome):
        return predicted.own and predicted.outcome is Outcome.OPEN and _own(predicted, observed)
    if predicted.client and observed.client and predicted.client != observed.client:
        return False
    return predicted.server is None or observed.server is None or predicted.server == observed.server


def _own(predicted: Verdict, observed: Verdict) -> bool:
    """Whether a refusal (in UDP also silence) may be the Pod's own: nobody listens there, or a process of its own may.

    A port that a container's command has is open if and only if that opens it, which the cluster does not tell.  A
    Service without an endpoint is refused by the nodes, before any Pod.
    """
    if predicted.outcome is Outcome.REFUSED:
        return not predicted.deserted
    silent = observed.outcome is Outcome.TIMEOUT and observed.flow.protocol == "UDP"
    return predicted.own and (observed.outcome is Outcome.REFUSED or silent)


def _disagreement(row: Row) -> str:
    """What is wrong with a row; empty where nothing is."""
    expectation, predicted, observed = row.expectation, row.predicted, row.observed
    verdict = row.verdict
    if verdict is None:
        return "" if expectation is None else f"expected {expectation.expect}, but it was not probed"
    failed = expectation is not None and not meets(expectation.expect, verdict, predicted)
    differs = observed is not None and predicted is not None and not agree(predicted, observed)
    if not failed and not differs and verdict.outcome is not Outcome.ERROR:
        return ""
    got = _got(
        verdict if verdict.because or predicted is None else verdict._replace(because=_reason(predicted, verdict))
    )
    if differs and predicted is not None and verdict.server and predicted.server not in (None, verdict.server):
        got += "" if verdict.wrong_server else f" from {verdict.server} and not from {predicted.server}"
    if differs and predicted is not None and verdict.client and predicted.client not in (None, verdict.client):
        got += f", seen as {verdict.client} and not as {predicted.client}"
    got = f"got {got}" if observed else f"predicted {got}"
    message = f"expected {expectation.expect}, {got}" if expectation else got
    if predicted is not None and (observed is None or differs):
        message += f" (predicted: {_got(predicted)})" if observed else "; no packet was sent"
    return message


def _reason(predicted: Verdict, verdict: Verdict) -> tuple[Why, ...]:
    """What the prediction knows of an answer that came without a reason."""
    if predicted.outcome is verdict.outcome:
        return predicted.because
    if predicted.own and verdict.outcome is Outcome.REFUSED and predicted.because:
        why = predicted.because[0]
        return (why._replace(message=f"{why.message}, and does not listen"),)
    return ()


def _got(verdict: Verdict) -> str:
    text = str(verdict.outcome)
    if verdict.wrong_server:
        text += f" from the wrong server, {verdict.server or 'which gives no name'}"
    policies = dict.fromkeys(why.policy for why in verdict.because if why.policy)
    if verdict.outcome is Outcome.DENIED and len(policies) > 1:
        text += f": policies {' and '.join(policies)} isolate it, and no rule of theirs allows this"
    elif verdict.outcome in _WITH_REASON and verdict.because:
        text += f": {verdict.because[0].message}"
    return text


def failures(rows: Iterable[Row]) -> list[str]:
    """One readable line a disagreement, as ``check`` prints it.

    Where a line's replicas do not agree among themselves, its failures say so, since that is the failure.
    """
    rows = list(rows)
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[_group(row)].append(row)
    return [failure(row, groups[_group(row)]) for row in rows if not row.ok]


def _group(row: Row) -> tuple[object, ...]:
    """The rows of one line that ask the same of the replicas of one selector: a list is several expectations."""
    line, position = (row.expectation.line, row.expectation.selector) if row.expectation else (None, -1)
    return (id(line) if line else id(row), position, row.flow.port, row.flow.protocol, ":" in row.flow.address)


def failure(row: Row, same: Sequence[Row] = ()) -> str:
    """``FAIL from -> to address:port/protocol: what is wrong · where it was expected, and why``.

    Below it, indented, are the policies' rules that came nearest, or those that let it pass.
    """
    text = f"FAIL {row.flow}: {row.message}"
    good = [other for other in same if other.ok]
    if good and row.expectation and row.expectation.line:
        targets = len({other.flow.dst.name for other in good})
        names = [other.flow.dst.name if targets > 1 or other.flow.src == row.flow.src else other.flow.src.name
                 for other in good]  # fmt: skip
        shown = ", ".join(dict.fromkeys(names[:_AMONG])) + (
            f" and {len(names) - _AMONG} more" if names[_AMONG:] else ""
        )
        text += f"; the replicas disagree: as expected with {shown}"
    if row.expectation:
        text += f" · {row.expectation.mark}" + (f" {row.expectation.why}" if row.expectation.why else "")
    return "\n".join((text, *briefly(row.flow, row.paths)))


def checked_fields(row: Row) -> dict[str, Any]:
    """The fields of a row's document; ``outcome`` is null where no packet was sent."""
    shown = flow_fields(row.observed or Verdict(row.flow, Outcome.ERROR))
    if row.observed is None:
        shown |= {"outcome": None, "server": None, "client": None}
    return {
        **shown,
        "expected": row.expectation.expect if row.expectation else None,
        "predicted": row.predicted.outcome.value if row.predicted else None,
        "ok": row.ok,
        "says": row.message,
        "line": str(row.expectation.mark) if row.expectation else None,
        "ways": tuple(output.JudgedPath(**path_fields(path)) for path in row.paths),
        "lookup": lookup_document(row.lookup) if row.lookup else None,
    }


def document(rows: Sequence[Row], warnings: Sequence[Notice], cluster: Cluster | None = None) -> output.Check:
    """The document of ``check``; ``cluster``: the running lab."""
    passed = sum(row.ok for row in rows)
    checked = tuple(output.CheckedFlow(**checked_fields(row)) for row in rows)
    return output.Check(
        lab=cluster.lab if cluster else None,
        places=places(cluster) if cluster else None,
        passed=passed,
        failed=len(rows) - passed,
        flows=checked,
        warnings=tuple(warnings),
    )
