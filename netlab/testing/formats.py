"""What CI systems read: annotations of GitHub, SARIF, and the documents of several sets as one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from netlab import __version__
from netlab.output import flows as output
from netlab.testing.report import Failure, Report

_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}
_SARIF = {"error": "error", "warning": "warning", "note": "note"}


def document(reports: Sequence[Report], *, several: bool, predicted: bool, seconds: float) -> output.Test:
    """The document of ``test -o json``."""
    flows = [replace(flow, set=report.name) if several else flow for report in reports for flow in report.flows]
    return output.Test(
        passed=sum(report.summary.passed for report in reports),
        failed=sum(report.summary.failed for report in reports),
        flows=tuple(flows),
        warnings=tuple(warning for report in reports for warning in report.warnings),
        predicted_only=predicted,
        seconds=round(seconds, 3),
        sets=tuple(report.summary for report in reports) if several else (),
        changes=None if several or not reports else reports[0].summary.changes,
        coverage=None if several or not reports else reports[0].summary.coverage,
    )


def github(reports: Sequence[Report]) -> Iterator[str]:
    """Lines that GitHub's runner shows in a pull request."""
    for report in reports:
        for failure in report.failures:
            location = f"file={_property(failure.file)},line={failure.line}," if failure.line else ""
            title = _property(f"netlab {failure.code} ({report.name})")
            yield f"::{_GITHUB[failure.level]} {location}title={title}::{_data(failure.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(reports: Sequence[Report]) -> str:
    """A SARIF 2.1.0 log with a result for each failure and finding."""
    failures = [failure for report in reports for failure in report.failures]
    rules = [{"id": code} for code in dict.fromkeys(failure.code for failure in failures)]
    driver = {"name": "netlab", "version": __version__, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(failure) for failure in failures]}],
    }
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _result(failure: Failure) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": failure.code,
        "level": _SARIF[failure.level],
        "message": {"text": failure.message},
    }
    if failure.line:
        location = {"artifactLocation": {"uri": failure.file}, "region": {"startLine": failure.line}}
        result["locations"] = [{"physicalLocation": location}]
    return result
