"""``netlab heal``: end faults that ``break`` made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netlab.cli import faults, out
from netlab.cli.options import lab as lab_option
from netlab.cli.options import output, own_lab
from netlab.errors import BadInput

if TYPE_CHECKING:
    from netlab.faults.apply import Plain
    from netlab.faults.injected import Injected


@click.command()
@click.argument("names", nargs=-1, metavar="[LAB] [FAULT]")
@click.option("--at", default="", metavar="PLACE", help="only the fault at this place")
@lab_option
@output
def command(names: tuple[str, ...], at: str, lab_option: str, output: str) -> None:
    """Mend the faults that break made, and name those that were secret; with FAULT only that fault.

    What somebody changed in the lab by hand meanwhile is as the lab has it afterwards.
    """
    from netlab.faults.catalogue import fault, modules
    from netlab.runtime.lab import faults_of, refault

    if len(names) > 2:
        raise BadInput("name a LAB and a FAULT", hint="netlab diff shows the open faults")
    # One word is a fault where it is the name of one and no lab runs under it.
    alone = len(names) == 1 and names[0] in modules() and not _runs(names[0])
    id_ = names[-1] if len(names) == 2 or alone else ""
    lab = own_lab(names[0] if names and not alone else "", lab_option)
    if id_:
        fault(id_)
    ended: list[Injected] = []

    def ends(each: Injected) -> bool:
        return id_ in ("", each.fault) and at in ("", each.at, each.at.rpartition("/")[2])

    def rest(_: Plain, there: tuple[Injected, ...]) -> tuple[Injected, ...]:
        ended.extend(each for each in there if ends(each))
        return tuple(each for each in there if not ends(each))

    changed, seconds, left = 0, 0.0, faults_of(lab)
    if any(map(ends, left)):
        done = refault(lab, rest, verb="heal", say=out.note)
        changed, seconds, left = done.changed, done.seconds, done.lab.faults
    if output == "json":
        from netlab.output.faults import Healed

        healed = faults.documents(ended, reveal=True)
        out.document(Healed(lab=lab, healed=healed, open=len(left), changed=changed, seconds=round(seconds, 3)))
        return
    for each in ended:
        name, where, _, cause = faults.row(each, reveal=True)
        out.line(f"healed: {name} at {where}: {cause}")
    if not ended:
        which = " ".join(part for part in (f"fault {id_}" if id_ else "a fault", f"at {at}" if at else "") if part)
        out.line(f"lab {lab} does not have {which}" if id_ or at else f"lab {lab} has no open fault")
    elif left:
        out.line(
            f"{out.count(len(left), 'fault')} of lab {lab} left; {out.command()} diff {lab} lists what is not secret"
        )


def _runs(name: str) -> bool:
    from netlab.runtime.state.rundir import RunDir

    return RunDir(name).exists()
