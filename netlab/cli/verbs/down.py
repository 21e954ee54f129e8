"""``netlab down``: remove a lab, whatever state it is in."""

from __future__ import annotations

import click

from netlab.cli import out
from netlab.cli.options import output
from netlab.errors import BadInput
from netlab.names import LAB_NAME_MAX, is_dns_label


@click.command()
@click.argument("lab", required=False, default="")
@click.option("--all", "every", is_flag=True, help="all running labs")
@output
def command(lab: str, every: bool, output: str) -> None:
    """Remove a lab, whatever state it is in.

    Needs neither its spec nor its run state: what belongs to a lab says so itself.
    """
    from netlab.kernel.owners import owners
    from netlab.runtime.rundir import running
    from netlab.runtime.teardown import down

    if every == bool(lab):
        raise BadInput("say which lab, or --all", hint="netlab ls shows the running labs")
    names = [lab]
    if every:
        marked = {owner.lab for owner in owners().values() if owner is not None}
        names = sorted({one.lab for one in running()} | marked)
    elif not is_dns_label(lab, LAB_NAME_MAX):
        raise BadInput(f"{lab!r} is no lab's name: a DNS label of at most {LAB_NAME_MAX} characters")
    results = [down(name, out.note) for name in names]
    if output == "json":
        out.document(
            [
                {
                    "lab": one.lab,
                    "running": one.was_running,
                    "netns": one.netns,
                    "seconds": round(one.seconds, 3),
                    "strangers": [{"pid": each.pid, "comm": each.comm, "netns": each.netns} for each in one.strangers],
                }
                for one in results
            ]
        )
        return
    for one in results:
        if one.was_running:
            out.line(f"lab {one.lab} is down: {out.count(one.netns, 'namespace')} removed in {one.seconds:.2f} s")
        else:
            out.line(f"lab {one.lab} is not running")
        for each in one.strangers:
            out.line(f"process {each.pid} ({each.comm}) still runs in {each.netns}; that namespace goes with it")
    if every and not results:
        out.line("no lab is running")
