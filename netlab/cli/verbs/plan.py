"""``netlab plan``: what up would do."""

from __future__ import annotations

import shlex

import click

from netlab.cli import out
from netlab.cli.options import spec_options


@click.command()
@spec_options
@click.option("--commands", is_flag=True, help="print a shell script that builds the same lab")
@click.option(
    "--exact", is_flag=True, help="with --commands: also set the indexes and MAC addresses that netlab chooses"
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="output format")
def command(
    lab: str, files: tuple[str, ...], name: str, namespace: str, commands: bool, exact: bool, output: str
) -> None:
    """Show what up would do, as a table or as ip, bridge and sysctl commands.

    plan changes nothing.  It needs no privilege for a lab that is not running.
    """
    from netlab.cli import warned
    from netlab.cli.drafts import draft
    from netlab.objects.nftorder import typed
    from netlab.plan import render
    from netlab.runtime.host.requirements import lacking
    from netlab.runtime.lab import plan

    lab_plan, todo = plan(draft(lab, files, name, namespace))
    if output == "json":
        from netlab.model.topology.places import places
        from netlab.objects.links import namespaces
        from netlab.output.changes import Plan
        from netlab.plan.document import operations as documents

        warnings = warned.documents(warned.of_lab(lab_plan))
        named = namespaces(op.obj for op in todo.operations)
        out.document(
            Plan(operations=documents(todo.operations), places=places(lab_plan.cluster, named), warnings=warnings)
        )
        return
    if lacks := lacking(lab_plan.cluster):
        out.note(f"{lacks[0]}: up will refuse it\n  {lacks[1]}")
    if commands:
        words = [lab, *(word for file in files for word in ("-f", file)), *(("--name", name) if name else ())]
        up = " ".join(shlex.quote(word) for word in words if word)
        out.line(render.script(lab_plan.cluster.lab, todo.operations, exact=exact, up=up))
        return
    warned.tell(warned.of_lab(lab_plan))
    if not todo.operations:
        out.line(f"lab {lab_plan.cluster.lab}: nothing to do")
        return
    out.table(render.rows(typed(todo.operations)), render.HEADER)
    out.line()
    out.line(f"{out.count(len(todo.operations), 'operation')}; --commands prints them as shell lines")
