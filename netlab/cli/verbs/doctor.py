"""``netlab doctor``: what this host can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.options import output
from netlab.errors import Exit

if TYPE_CHECKING:
    from netlab.output.doctor import Doctor

_WORKS = {True: "yes", False: "no", None: "?"}
_RUNS = {True: "in part", False: "not here", None: "not known"}


@click.command()
@click.option("--load", is_flag=True, help="also try what makes the kernel load a module")
@output
def command(output: str, load: bool) -> int:
    """Show what this host can do: which labs and verbs run here, and what to type where one does not.

    Everything is tried in namespaces that end with the command, and nothing of the host is changed.  A feature whose
    module is not loaded is looked up, not tried, unless you say --load.  The output has no address, name or path of the
    machine, so it can be pasted into a report.  The exit status is 0 if labs run here, and 3 if none does.
    """
    from netlab.runtime.doctor.examine import examine

    report = examine(load_modules=load)
    if output == "json":
        out.document(report)
    else:
        show(report)
    return Exit.OK if report.ok else Exit.HOST_CANNOT


def show(report: Doctor) -> None:
    """Print the report for people."""
    out.line(
        f"netlab {report.netlab} on {report.system}, Linux {report.kernel}, {report.machine}, Python {report.python}"
    )
    _print_verdict(report)
    out.line()
    group = ""
    rows = []
    for check in report.checks:
        rows.append((check.group if check.group != group else "", check.name, _WORKS[check.works], check.detail))
        group = check.group
    out.table(rows, ("GROUP", "CHECK", "WORKS", "DETAIL"))
    out.line()
    _print_labs(report)
    _print_verbs(report)
    if report.mend:
        out.line()
        out.line("To mend:")
        for mend in report.mend:
            out.line(f"  {mend.command}    # {', '.join(mend.checks)}")


def _print_verdict(report: Doctor) -> None:
    how = {"root": "as root", "rootless": "without root", "none": "here"}[report.privilege]
    runs = sum(lab.runs is True for lab in report.labs)
    unknown = sum(lab.runs is None for lab in report.labs)
    also = f"; {unknown} may: see ? below" if unknown else ""
    out.line(f"{runs} of {out.count(len(report.labs), 'lab')} run {how}{also}")


def _print_labs(report: Doctor) -> None:
    lacking: dict[tuple[bool | None, tuple[str, ...]], list[str]] = {}
    for lab in report.labs:
        if not lab.runs:
            lacking.setdefault((lab.runs, lab.lacks), []).append(lab.lab)
    for (runs, lacks), names in lacking.items():
        many = "lab" if len(names) == 1 else "labs"
        out.line(
            f"{'not known' if runs is None else 'not here'}: {many} {', '.join(names)} (without {', '.join(lacks)})"
        )


def _print_verbs(report: Doctor) -> None:
    limited: dict[tuple[bool | None, str], list[str]] = {}
    for row in report.verbs:
        if row.detail:
            limited.setdefault((row.runs, row.detail), []).extend(row.verbs)
    for (runs, detail), verbs in limited.items():
        out.line(f"{_RUNS[runs]}: netlab {', '.join(verbs)} ({detail})")
