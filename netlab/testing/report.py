"""A result as it is shown: the lines for people, the document for machines, and the files for CI systems."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netlab.errors import Exit
from netlab.lint.document import notice
from netlab.oracle import coverage, junit
from netlab.oracle.compare import checked_fields
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.matrix import draw
from netlab.oracle.report import flow_fields
from netlab.output import flows as output
from netlab.output.changes import Notice
from netlab.spec import Warning
from netlab.testing import against as compared
from netlab.testing.access import Access
from netlab.testing.failures import Cause, causes
from netlab.testing.result import Result
from netlab.testing.standins import role
from netlab.tuples import NamedTuple

_SHOWN = 3  # findings of one code before they are only counted
_UNMODELLED = "not-modelled"
_HOOK = "helm-hook"
_LEVELS = {"error": "error", "warning": "warn", "note": "note"}


class View(NamedTuple):
    """What a user wants to see; ``command`` and ``arguments`` make the line to type."""

    command: str = "netlab"
    arguments: str = ""
    quiet: bool = False
    matrix: bool = False
    coverage: bool = False
    picture: bool = False


class Failure(NamedTuple):
    """A failure or finding with its place, for annotations and SARIF; ``level`` is error, warning or note."""

    level: str
    code: str
    message: str
    file: str
    line: int


class Report(NamedTuple):
    """All that is shown of one set; plain data, since it may come from another process."""

    name: str
    status: Exit
    lines: tuple[str, ...]
    flows: tuple[output.TestedFlow, ...]
    warnings: tuple[Notice, ...]
    summary: output.TestedSet
    suite: junit.Suite
    failures: tuple[Failure, ...]
    markdown: str
    cells: tuple[output.Flow, ...] = ()  # between workloads, where a picture is asked for


def report(
    result: Result,
    view: View,
    changes: Sequence[compared.Change] | None = None,
    suite: junit.Suite | None = None,
) -> Report:
    """Everything that is shown of a result; ``changes``: the flows that differ from an older state.

    ``suite``: the JUnit suite, where its cases have other names than workloads.
    """
    groups = causes(result)
    name, workloads = result.prepared.name, result.workloads
    passed = len(result.rows) - len(result.failed)
    documents = None if changes is None else tuple(map(compared.document, changes))
    held = coverage.coverage(result.prepared.cluster, result.prepared.wanted) if view.coverage else None
    covered = [f"  {line}" for line in coverage.lines(held)] if held is not None else []
    lines = [header(result), *_lines(result, view, groups, changes), *covered]
    return Report(
        name,
        result.status,
        tuple(lines),
        tuple(_flows(result)),
        tuple(notice(warning) for warning in result.findings),
        output.TestedSet(
            name=name,
            status=int(result.status),
            passed=passed,
            failed=len(result.failed),
            seconds=round(result.seconds, 3),
            predicted_only=result.observed is None,
            changes=documents,
            coverage=coverage.document(held) if held is not None else None,
        ),
        suite
        or junit.suite(
            [row for row in result.rows if row.expectation or not row.ok or not result.prepared.wanted],
            name=name,
            seconds=result.seconds,
            findings=[(each.code, each.message, each.mark) for each in result.errors],
            called=lambda row: (
                f"{workloads.of(row.flow.src).name} -> {workloads.shown(str(row.flow).partition(' -> ')[2])}"
            ),
        ),
        tuple(_failures(result, groups)),
        _markdown(result, groups, changes),
        tuple(output.Flow(**flow_fields(cell)) for cell in _cells(result)) if view.picture else (),
    )


# -- lines for people -------------------------------------------------------------------------------------------------


def header(result: Result) -> str:
    """``shop: 14 workloads, 13 policies; 208 flows + 6 stand-ins by packets in 1.4 s   FAIL``."""
    prepared = result.prepared
    own = [pod for pod in prepared.cluster.own_pods if not role(pod)]
    workloads = len({(pod.namespace, pod.owner or pod.name) for pod in own})
    stand_ins = sum(bool(role(pod)) for pod in prepared.cluster.own_pods)
    policies = len(prepared.cluster.network_policies) + len(prepared.cluster.tiers)
    many = f" ({len(own)} Pods)" if len(own) > workloads else ""
    how = "predicted, no packet sent" if result.observed is None else f"by packets in {result.seconds:.1f} s"
    parts = f"{_count(workloads, 'workload')}{many}, {_count(policies, 'policy', 'policies')}"
    more = f" + {_count(stand_ins, 'stand-in')}" if stand_ins else ""
    flows = f"{_count(len(prepared.flows), 'flow')}{more}"
    return f"{prepared.name}: {parts}; {flows} {how}   {verdict(result)}"


def verdict(result: Result) -> str:
    """FAIL exactly where the exit status is 1."""
    if result.status is Exit.NO:
        return "FAIL"
    if result.status is Exit.BAD_INPUT:
        return "nothing was tested"
    if result.status is not Exit.OK:
        return "ERROR"
    warnings = sum(finding.level == "warning" for finding in _shown(result))
    return f"ok, {_count(warnings, 'warning')}" if warnings else "ok"


def _lines(result: Result, view: View, groups: Sequence[Cause], changes: Sequence[compared.Change] | None) -> list[str]:
    lines: list[str] = []
    for cause in groups:
        lines += cause.lines()
        lines.append(f"     look at it: {cause.command(view.command, view.arguments)}")
    if changes is not None:
        lines += compared.table(changes)
    if view.quiet:
        return lines + [_finding(each) for each in result.errors]
    lines += [f"  {note}" for note in result.prepared.notes]
    if view.matrix:
        lines += [f"  {line}" for line in draw(_cells(result)).splitlines()]
    else:
        lines += [f"  {line}" for line in Access(result.prepared, result.verdicts).lines()]
    lines += findings(_shown(result))
    lines += [f"note  {warning.message}" for warning in result.findings if warning.code == _HOOK]
    lines += _unmodelled(result)
    return lines


def _cells(result: Result) -> Collection[Verdict]:
    """The verdicts between workloads; a cell is mixed where replicas or addresses differ."""
    workloads = result.workloads
    shown: dict[Flow, Verdict] = {}
    for flow, verdict in result.verdicts.items():
        source, target = (
            end._replace(name=workloads.of(end).name, netns="", addresses=()) for end in (flow.src, flow.dst)
        )
        cell = flow._replace(src=source, dst=target, address=target.name, size=0)
        outcome = verdict.outcome if cell not in shown or shown[cell].outcome is verdict.outcome else Outcome.MIXED
        shown[cell] = verdict._replace(flow=cell, server=None, outcome=outcome)
    return shown.values()


def findings(warnings: Sequence[Warning]) -> list[str]:
    """A line a finding, errors first; of one code three, and a count."""
    lines: list[str] = []
    by_code: dict[tuple[str, str], list[Warning]] = {}
    for warning in sorted(warnings, key=lambda each: [*_LEVELS].index(each.level)):
        by_code.setdefault((warning.level, warning.code), []).append(warning)
    for (level, code), group in by_code.items():
        shown = group if len(group) == _SHOWN + 1 else group[:_SHOWN]
        lines += map(_finding, shown)
        if more := len(group) - len(shown):
            lines.append(f"{_LEVELS[level]:<5} {code}  and {more} more; -o json has them all")
    return lines


def _finding(warning: Warning) -> str:
    prefix = f"{warning.mark.file}:{warning.mark.line}  " if warning.mark.line else ""
    return f"{_LEVELS[warning.level]:<5} {warning.code}  {prefix}{warning.message}"


def _shown(result: Result) -> list[Warning]:
    """The findings that have a line of their own."""
    return [each for each in result.findings if not each.code.startswith(_UNMODELLED) and each.code != _HOOK]


def _unmodelled(result: Result) -> list[str]:
    """One line on the objects that filter traffic or make Pods and are not modelled."""
    does = {
        f"{_UNMODELLED}-filter": "filter traffic, so a flow may be denied in a cluster",
        f"{_UNMODELLED}-route": "route traffic",
        f"{_UNMODELLED}-pods": "make Pods",
        _UNMODELLED: "are of kinds that netlab does not know",
    }
    parts = []
    for code, message in does.items():
        kinds: dict[str, int] = {}
        for warning in result.findings:
            if warning.code == code:
                kind = warning.object.partition(" ")[0]
                kinds[kind] = kinds.get(kind, 0) + 1
        if kinds:
            parts.append(f"{', '.join(f'{number} {kind}' for kind, number in kinds.items())} {message}")
    return [f"note  not modelled: {'; '.join(parts)}"] if parts else []


# -- for machines -----------------------------------------------------------------------------------------------------


def _flows(result: Result) -> list[output.TestedFlow]:
    workloads, pods = result.workloads, result.prepared.questions.endpoints.pod_of
    stand_ins = {name for name, pod in pods.items() if role(pod)}
    return [
        output.TestedFlow(
            **checked_fields(row),
            from_workload=workloads.of(row.flow.src).name,
            to_workload=workloads.of(row.flow.dst).name,
            stand_in=row.flow.src.name in stand_ins or row.flow.dst.name in stand_ins,
        )
        for row in result.rows
    ]


def _failures(result: Result, groups: Sequence[Cause]) -> list[Failure]:
    failures = []
    for cause in groups:
        expectation = cause.first.expectation
        mark = expectation.mark if expectation else None
        text = "\n".join(cause.lines())
        failures.append(Failure("error", "flow", text, mark.file if mark else "", mark.line if mark else 0))
    failures += [
        Failure(warning.level, warning.code, warning.message, warning.mark.file, warning.mark.line)
        for warning in result.findings
    ]
    return failures


def _markdown(result: Result, groups: Sequence[Cause], changes: Sequence[compared.Change] | None) -> str:
    lines = [f"### {_cell(header(result))}", ""]
    if changes is not None:
        lines += [*compared.markdown(changes), ""]
    for cause in groups:
        first, *rest = cause.lines()
        lines += [f"- **{_cell(first)}**", *(f"  - {_cell(line.strip())}" for line in rest)]
    lines += ["", "<details><summary>who reaches what</summary>", "", "| target | clients |", "|---|---|"]
    for line in Access(result.prepared, result.verdicts).lines():
        target, _, clients = line.strip().partition(" <- ")
        lines.append(f"| {_cell(target)} | {_cell(clients)} |")
    lines += ["", "</details>", ""]
    lines += [f"- {_cell(line)}" for line in findings(_shown(result))]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
