"""``netlab diff``: how the kernel differs from what was applied."""

from __future__ import annotations

import click

from netlab.cli import faults, out, paint, warned
from netlab.cli.elsewhere import point_to_shell
from netlab.cli.options import lab_argument, output, running_lab
from netlab.errors import BadInput, Exit
from netlab.plan import render


@click.command()
@lab_argument
@click.option("--reveal", is_flag=True, help="also name secret faults")
@click.option("--netns", "spaces", multiple=True, metavar="NETNS",
              help="look at this namespace alone, which takes less time; repeatable")  # fmt: skip
@output
def command(lab: str, lab_option: str, reveal: bool, spaces: tuple[str, ...], output: str) -> int:
    """Show how the kernel differs from the applied lab, object by object, with lines of the spec.

    The exit status is 1 if something differs.  What the kernel learned counts where it contradicts the lab.
    Open faults are part of the lab and no drift: diff names them, and counts the secret ones.  diff also lists objects that other programs made in the lab's namespaces, with the commands that remove them; they are no drift.
    """
    from netlab.runtime.lab import diff
    from netlab.runtime.state.running import load_running

    name = running_lab(lab, lab_option)
    if unknown := set(spaces) - (load_running(name).want.netns() if spaces else set()):
        raise BadInput(f"lab {name} has no namespace {min(unknown)}", hint="ip netns list shows the namespaces")
    lab_diff, drifted = diff(name, spaces or None)
    operations, foreign = drifted
    if output == "json":
        from netlab.kernel.nftables.foreign import texts
        from netlab.model.topology.places import places
        from netlab.objects.links import namespaces
        from netlab.output.changes import Diff
        from netlab.plan import document

        named = namespaces([*(op.obj for op in operations), *foreign])
        out.document(
            Diff(
                lab=lab_diff.cluster.lab,
                operations=document.drifts(operations),
                foreign=document.foreign(foreign, texts(foreign)),
                places=places(lab_diff.cluster, named),
                faults=faults.documents(lab_diff.faults, reveal=reveal),
            )
        )
        return Exit.NO if operations else Exit.OK
    warned.tell(warned.unenforced(lab_diff.documents))
    faults.tell(lab_diff.faults, reveal=reveal)
    drifts = list(render.drifts(operations))
    for text in drifts:
        out.line(text, paint.DIFF)
    for obj in foreign:
        out.line(render.foreign_text(obj), paint.DIFF)
    if drifts:
        point_to_shell(text.partition("mend by: ")[2] for text in drifts)
        out.line(
            f"lab {name}: {out.count(len(drifts), 'object')} differ{'s' if len(drifts) == 1 else ''}; "
            f"{out.command()} up {name} mends {'it' if len(drifts) == 1 else 'them'}",
            paint.DIFF,
        )
        return Exit.NO
    out.line(f"lab {name}: no drift", paint.DIFF)
    out.following(f"diagnose {name}", "the causes of what does not work")
    return Exit.OK
