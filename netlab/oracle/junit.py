"""A check as JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from netlab.oracle.compare import Row, failure
from netlab.oracle.flow import Outcome


def junit(rows: Iterable[Row], *, lab: str, seconds: float = 0.0) -> str:
    """A JUnit report, one test case a flow, whose file and line are the expectation's."""
    cases, failed, errors = [], 0, 0
    for row in rows:
        attributes = f"classname={_attr(f'netlab.{lab}')} name={_attr(str(row.flow))}"
        if row.expectation:
            attributes += f" file={_attr(row.expectation.mark.file)} line={_attr(str(row.expectation.mark.line))}"
        if row.ok:
            cases.append(f"    <testcase {attributes}/>")
            continue
        broken = row.observed is not None and row.observed.outcome is Outcome.ERROR
        tag = "error" if broken else "failure"
        errors, failed = errors + broken, failed + (not broken)
        told = f"<{tag} message={_attr(row.says)}>{_text(failure(row))}</{tag}>"
        cases.append(f"    <testcase {attributes}>\n      {told}\n    </testcase>")
    counts = f'tests="{len(cases)}" failures="{failed}" errors="{errors}" time="{seconds:.3f}"'
    body = "\n".join(cases)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts}>\n  <testsuite name={_attr(lab)} {counts}>\n'
        f"{body}{chr(10) if body else ''}  </testsuite>\n</testsuites>\n"
    )


def _clean(text: str) -> str:
    """XML 1.0 has no way to write most control characters."""
    return "".join(each if each >= " " or each in "\t\n" else "?" for each in text)


def _attr(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\t": "&#9;"})


def _text(text: str) -> str:
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
