"""``netlab labs``: the labs that there are."""

from __future__ import annotations

import click

from netlab.cli import out
from netlab.cli.options import output
from netlab.runtime.state import labs


@click.command()
@output
def command(output: str) -> None:
    """List the available labs: those in ./labs and those that netlab ships."""
    listed = labs.available()
    if output == "json":
        from netlab.output.changes import AvailableLab

        out.document([AvailableLab(lab=lab.name, path=str(lab.path), title=labs.title(lab.path)) for lab in listed])
        return
    out.table([(lab.name, labs.title(lab.path), str(lab.path)) for lab in listed], ("LAB", "WHAT IT SHOWS", "PATH"))
