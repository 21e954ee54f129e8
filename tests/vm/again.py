"""A plugin of pytest for the guests: a test that failed is run once more. Where it passes then it is named as flaky."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from _pytest.runner import runtestprotocol

FLAKY = "flaky"  # the property in JUnit's file: why the first run failed
_TEXTS = pytest.StashKey[list[tuple[str, str]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """As pytest's own, with a second run; the reports of the last run count."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    given = item.user_properties[:]
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if failed := _failed(reports):
        item.user_properties[:] = given
        item._initrequest()  # type: ignore[attr-defined]  # its fixtures are made anew
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not _failed(reports):
            item.config.stash.setdefault(_TEXTS, []).append((item.nodeid, failed.longreprtext))
            for report in reports:
                report.user_properties.append((FLAKY, _why(failed)))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The texts of the failures that did not come again."""
    for name, text in config.stash.get(_TEXTS, []):
        terminalreporter.section(f"flaky: {name} passed when it was run again")
        terminalreporter.write_line(text)


def _failed(reports: Sequence[pytest.TestReport]) -> pytest.TestReport | None:
    return next((report for report in reports if report.failed), None)


def _why(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    return str(text).strip().partition("\n")[0]
