"""``netlab down``: remove labs, in any state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.options import output
from netlab.errors import BadInput, Exit, NeedsRoot, NetlabError
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.near import near

if TYPE_CHECKING:
    from netlab.output import changes
    from netlab.runtime.teardown import Down


@click.command()
@click.argument("labs", nargs=-1, metavar="[LAB...]")
@click.option("--lab", "lab_options", multiple=True, metavar="LAB", help="the same as LAB; repeatable")
@click.option("--all", "every", is_flag=True, help="remove all your running labs")
@output
def command(labs: tuple[str, ...], lab_options: tuple[str, ...], every: bool, output: str) -> int:
    """Remove labs in any state.

    down needs neither the spec nor the run state: every object of a lab carries the mark of the lab.
    """
    from netlab.cli.elsewhere import ROOTLESS, elsewhere, typed, world
    from netlab.kernel.host.owners import owners
    from netlab.runtime.state.rundir import NotYours, running
    from netlab.runtime.teardown import Down, down

    wanted = dict.fromkeys((*labs, *lab_options))
    if every == bool(wanted):
        raise BadInput("name a lab, or use --all", hint="netlab ls shows the running labs")
    for lab in wanted:
        if not is_dns_label(lab, LAB_NAME_MAX):
            raise BadInput(f"{lab!r} is no lab's name: a DNS label of at most {LAB_NAME_MAX} characters")
    there = [lab.lab for lab in running()]
    if every:
        marked = {owner.lab for owner in owners().values() if owner is not None}
        wanted = dict.fromkeys(sorted({*there, *marked}))
    results: list[Down] = []
    kept: list[NotYours] = []
    failed: list[NetlabError] = []
    for lab in wanted:
        try:
            results.append(down(lab, out.note))
        except NotYours as error:  # `--all` means all that may be removed
            (kept if every else failed).append(error)
        except NeedsRoot:  # so will all the others be
            if lab in there:
                raise
            results.append(Down(lab, was_running=False, netns=0, seconds=0.0, strangers=()))
        except NetlabError as error:
            failed.append(error)
    if output == "json":
        out.document(tuple(map(_document, results)))
    else:
        _tell(results, there)
        if every and not results:
            out.line("no lab of yours is running" if kept else "no lab is running")
    for stays in kept:
        out.note(f"{stays.message}: it stays")
    missing = {result.lab for result in results if not result.was_running}
    if others := [lab for lab in (elsewhere() if every or missing else []) if every or lab in missing]:
        how = "as root" if world() == ROOTLESS else "without root"
        out.note(f"still running {how}: {typed()} down {' '.join(others)}")
    for failure in failed:
        out.error(failure)
    return max((int(failure.status) for failure in failed), default=int(Exit.OK))


def _tell(results: Iterable[Down], there: Iterable[str]) -> None:
    for result in results:
        if result.was_running:
            out.line(
                f"lab {result.lab} is down: {out.count(result.netns, 'namespace')} removed in {result.seconds:.2f} s"
            )
        else:
            out.line(f"lab {result.lab} is not running{near(result.lab, there)}")
        for each in result.strangers:
            out.line(f"process {each.pid} ({each.comm}) still runs in {each.netns}; that namespace goes with it")
        for pid in result.lingering:
            out.line(
                f"the agent, process {pid}, was killed and is not gone: PID 1 of this machine does not reap its children"
            )


def _document(lab: Down) -> changes.Down:
    from netlab.output.changes import Down, Stranger

    return Down(
        lab=lab.lab,
        running=lab.was_running,
        netns=lab.netns,
        seconds=round(lab.seconds, 3),
        lingering=tuple(lab.lingering),
        strangers=tuple(Stranger(pid=each.pid, comm=each.comm, netns=each.netns) for each in lab.strangers),
    )
