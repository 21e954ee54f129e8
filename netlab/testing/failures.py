"""Failures as people read them: those of one cause in one block, with both sides, the nearest rules, and what to type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from netlab.oracle.compare import Row
from netlab.oracle.expect import ALLOW, DENY
from netlab.oracle.explain import Judged, briefly
from netlab.oracle.flow import NAME, Outcome
from netlab.testing.result import Result
from netlab.testing.workloads import Workloads, joined

_INDENT = "     "
_FLOWS = 3  # flows of one cause that are named
KEPT = "look"  # the lab's name in the line to type


class Cause:
    """The failures that have one reason; ``good`` counts the flows that are as expected, by their workloads."""

    def __init__(self, rows: Sequence[Row], workloads: Workloads, good: Counter[object]) -> None:
        self.rows, self._workloads, self._good = rows, workloads, good

    @property
    def first(self) -> Row:
        return self.rows[0]

    @property
    def flows(self) -> str:
        """``deploy/web, deploy/api -> svc/db:5432``."""
        by_target: dict[str, dict[str, None]] = {}
        for row in self.rows:
            by_target.setdefault(target(row, self._workloads), {})[self._workloads.of(row.flow.src).name] = None
        by_sources: dict[tuple[str, ...], list[str]] = {}
        for name, sources in by_target.items():
            by_sources.setdefault(tuple(sources), []).append(name)
        return joined((f"{joined(sources)} -> {joined(names)}" for sources, names in by_sources.items()), _FLOWS)

    @property
    def summary(self) -> str:
        """``expected allow, got denied on 2 of 3 backends``."""
        row, verdict = self.first, self.first.verdict
        if row.expectation is None or verdict is None:
            return self._workloads.shown(row.message)
        expect = row.expectation.expect
        if verdict.may and expect in (ALLOW, DENY):
            bad = [backend for backend in verdict.may if (backend.outcome is Outcome.OPEN) != (expect == ALLOW)]
            outcomes = " and ".join(dict.fromkeys(str(backend.outcome) for backend in bad))
            number = "all" if len(bad) == len(verdict.may) else f"{len(bad)} of"
            if bad:
                return f"expected {expect}, got {outcomes} on {number} {len(verdict.may)} backends"
        got = f"expected {expect}, got {verdict.outcome}"
        plain = (
            row.message.startswith(got)
            and (row.paths or not row.message.removeprefix(got))
            and not verdict.wrong_server
        )
        return got if plain else self._workloads.shown(row.message)

    def lines(self) -> list[str]:
        """The block, less the line to type."""
        row = self.first
        number = f" ({len(self.rows)} flows)" if len(self.rows) > 1 else ""
        lines = [f"FAIL {self.flows}{number}: {self.summary}"]
        lines += [_INDENT + line for line in self._reasons()]
        if disagree := self._replicas():
            lines.append(_INDENT + disagree)
        if row.expectation:
            why = f' "{row.expectation.why}"' if row.expectation.why else ""
            marks = dict.fromkeys(str(each.expectation.mark) for each in self.rows if each.expectation)
            lines.append(f"{_INDENT}expected by {joined(marks)}{why}")
        return lines

    def _reasons(self) -> list[str]:
        """What the policies of both sides say; of an open flow of several sources the target's side alone."""
        row = self.first
        several = len({self._workloads.of(each.flow.src) for each in self.rows}) > 1
        reasons: dict[str, None] = {}
        for path in row.paths:
            if several and path.passes:
                path = path._replace(sides=path.sides[1:])
            reasons |= dict.fromkeys(self._workloads.shown(line.strip()) for line in briefly(row.flow, [path]))
        return list(reasons)

    def _replicas(self) -> str:
        """Where other Pods of the same workloads are as expected, how many."""
        pairs = {_pair(row, self._workloads) for row in self.rows}
        good = sum(self._good[pair] for pair in pairs)
        bad = len(self.rows)
        return (
            f"the replicas differ: {good} of {good + bad} flows between these workloads are as expected" if good else ""
        )

    def command(self, netlab: str, arguments: str) -> str:
        """What to type to follow the first of these flows."""
        flow = self.first.flow
        port = f":{flow.port}" + (f"/{flow.protocol}" if flow.protocol != "TCP" else "")
        source, target = self._workloads.of(flow.src).word, self._workloads.of(flow.dst).word
        look = f"trace --lab {KEPT} {source} {target}{port}"
        if flow.dst.kind == NAME:
            look = f"exec --lab {KEPT} {source} -- nslookup {flow.dst.name}"
        return f"{netlab} test {arguments} --keep {KEPT}; {netlab} {look}"


def causes(result: Result) -> list[Cause]:
    """The failures by what is behind them, in the order of the first of each."""
    workloads = result.workloads
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in result.failed:
        groups.setdefault(_cause(row, workloads), []).append(row)
    good: Counter[object] = Counter(
        _pair(row, workloads) for row in result.rows if row.ok and row.expectation and row.expectation.line
    )
    return [Cause(rows, workloads, good) for rows in groups.values()]


def _pair(row: Row, workloads: Workloads) -> object:
    """What the flows between the replicas of two workloads share, if a line of the expectations names them."""
    line = id(row.expectation.line) if row.expectation else 0
    return workloads.of(row.flow.src), workloads.of(row.flow.dst), row.flow.port, row.flow.protocol, line


def target(row: Row, workloads: Workloads) -> str:
    """A row's target as people name it."""
    flow = row.flow
    if flow.dst.kind == NAME:
        return f"the address of {flow.dst.name}"
    port = f":{flow.port}" + (f"/{flow.protocol}" if flow.protocol != "TCP" else "")
    return workloads.of(flow.dst).name + port


def _cause(row: Row, workloads: Workloads) -> tuple[object, ...]:
    """What two failures share that have one cause: what was expected, what came, and the rules that decided."""
    verdict, expectation = row.verdict, row.expectation
    expect = expectation.expect if expectation else ""
    outcome = verdict.outcome if verdict else ""
    if not row.paths:
        return expect, outcome, target(row, workloads), row.message if expectation is None else ""
    if expect != ALLOW and any(path.passes for path in row.paths):
        # What opens it is the target's side, of the Pods where it arrives; the sources are alike.
        return expect, tuple(dict.fromkeys(_passing(path, workloads) for path in row.paths))
    return expect, outcome, tuple(dict.fromkeys(_denying(row.paths, workloads)))


def _passing(path: Judged, workloads: Workloads) -> tuple[object, ...]:
    ingress, flow = path.sides[1], path.step.flow
    decided = ingress.tier or ingress.rule
    rule = (str(decided[0]), decided[1].index) if decided else ingress.exempt != ""
    return workloads.of(flow.dst).name, flow.port, flow.protocol, rule


def _denying(paths: Iterable[Judged], workloads: Workloads) -> Iterable[tuple[object, ...]]:
    for path in paths:
        for side in path.sides:
            if not side.allowed:
                tier = (f"{side.tier.policy} {side.tier.rule}",) if side.tier else ()
                yield side.direction, workloads.shown(side.party.name), tier or tuple(map(str, side.policies))
