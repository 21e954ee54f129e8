"""The files and lines that CI systems read, of the verbs that judge flows: JUnit, Markdown, SARIF, annotations of GitHub."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netlab.cli import files, out

if TYPE_CHECKING:
    from netlab.testing.report import Report

F = TypeVar("F", bound=Callable[..., Any])


def options(function: F) -> F:
    """--junit, --markdown and --sarif."""
    function = click.option("--sarif", default="", metavar="FILE", help="also write a SARIF log")(function)
    function = click.option("--markdown", default="", metavar="FILE", help="also write a summary in Markdown")(function)
    return click.option("--junit", default="", metavar="FILE", help="also write a JUnit report")(function)


def require_writable(junit: str, markdown: str, sarif: str) -> None:
    """Raise BadInput for a file that cannot be written."""
    for option, path in (("--junit", junit), ("--markdown", markdown), ("--sarif", sarif)):
        files.require_writable(option, path)


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def wanted(*files: str) -> bool:
    """Whether there is anything to write."""
    return any(files) or _on_github()


def tell(reports: Sequence[Report], *, junit: str, markdown: str, sarif: str, beside_json: bool) -> None:
    """Write what was asked for; where GitHub's runner listens, print its annotations (``beside_json``: on standard error)."""
    from netlab.oracle.junit import report as junit_report
    from netlab.testing import formats

    if junit:
        files.write("--junit", junit, junit_report([report.suite for report in reports]))
    if markdown:
        files.write("--markdown", markdown, "\n".join(report.markdown for report in reports if report.markdown))
    if sarif:
        files.write("--sarif", sarif, formats.sarif(reports))
    if _on_github():
        for line in formats.github(reports):
            (out.note if beside_json else out.line)(line)
