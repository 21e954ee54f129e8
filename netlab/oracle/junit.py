"""A check as JUnit's XML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape  # xml.sax.saxutils imports urllib

from netlab.errors import Mark
from netlab.oracle.compare import Row, failure
from netlab.oracle.flow import Outcome
from netlab.tuples import NamedTuple


class Suite(NamedTuple):
    """A suite as text, and its counts."""

    text: str
    tests: int
    failures: int
    errors: int
    seconds: float


def junit(rows: Iterable[Row], *, lab: str, seconds: float = 0.0) -> str:
    """A JUnit report, one test case a flow, whose file and line are the expectation's."""
    return report([suite(rows, name=lab, seconds=seconds)])


def suite(
    rows: Iterable[Row],
    *,
    name: str,
    seconds: float = 0.0,
    findings: Iterable[tuple[str, str, Mark]] = (),
    called: Callable[[Row], str] = lambda row: str(row.flow),
) -> Suite:
    """The suite of a lab or set; ``called`` names its cases.  ``findings`` (code, sentence, place) are failed cases too."""
    cases, failed, errors = [], 0, 0
    for row in rows:
        attributes = f"classname={_attr(f'netlab.{name}')} name={_attr(called(row))}"
        if row.expectation:
            attributes += f" file={_attr(row.expectation.mark.file)} line={_attr(str(row.expectation.mark.line))}"
        if row.ok:
            cases.append(f"    <testcase {attributes}/>")
            continue
        broken = row.observed is not None and row.observed.outcome is Outcome.ERROR
        tag = "error" if broken else "failure"
        errors, failed = errors + broken, failed + (not broken)
        element = f"<{tag} message={_attr(row.message)}>{_text(failure(row))}</{tag}>"
        cases.append(f"    <testcase {attributes}>\n      {element}\n    </testcase>")
    for code, message, mark in findings:
        failed += 1
        attributes = f"classname={_attr(f'netlab.{name}')} name={_attr(f'{code} {mark}')} file={_attr(mark.file)}"
        failure_text = f"<failure message={_attr(message)}>{_text(f'{mark}: {message}')}</failure>"
        cases.append(f'    <testcase {attributes} line="{mark.line}">\n      {failure_text}\n    </testcase>')
    counts = f'tests="{len(cases)}" failures="{failed}" errors="{errors}" time="{seconds:.3f}"'
    body = "\n".join(cases)
    text = f"  <testsuite name={_attr(name)} {counts}>\n{body}{chr(10) if body else ''}  </testsuite>\n"
    return Suite(text, len(cases), failed, errors, seconds)


def report(suites: Sequence[Suite]) -> str:
    """The report of these suites."""
    tests, failures, errors = (sum(counts) for counts in zip(*(each[1:4] for each in suites), strict=True))
    counts = (
        f'tests="{tests}" failures="{failures}" errors="{errors}" time="{sum(each.seconds for each in suites):.3f}"'
    )
    body = "".join(each.text for each in suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts}>\n{body}</testsuites>\n'


def _clean(text: str) -> str:
    """XML 1.0 has no way to write most control characters."""
    return "".join(each if each >= " " or each in "\t\n" else "?" for each in text)


def _attr(text: str) -> str:
    return f'"{escape(_clean(text))}"'.replace("\n", "&#10;").replace("\t", "&#9;")


def _text(text: str) -> str:
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
