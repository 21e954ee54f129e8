"""``netlab break``: make a fault in a running lab, or list the faults that there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from netlab.cli import faults, out
from netlab.cli.options import lab as lab_option
from netlab.cli.options import output, own_lab
from netlab.errors import BadInput

if TYPE_CHECKING:
    from netlab.faults.apply import Plain
    from netlab.faults.injected import Injected

    Choose = Callable[[Plain, tuple[Injected, ...]], tuple[Injected, ...]]


@click.command()
@click.argument("names", nargs=-1, metavar="[LAB] [FAULT]")
@click.option("--list", "list_", is_flag=True, help="list the faults; of a LAB those that it can have")
@click.option("--at", default="", metavar="PLACE", help="where: a node, a Pod, a Service or a policy")
@click.option("--random", "random_", is_flag=True, help="choose a fault and its place by chance")
@click.option("--level", type=click.IntRange(1, 3), default=None, help="with --random: only faults of this level")
@click.option("--seed", type=int, default=None, metavar="NUMBER", help="with --random: the same choice each time")
@click.option("--secret", is_flag=True, help="do not say which fault it is")
@lab_option
@output
def command(
    names: tuple[str, ...],
    list_: bool,
    at: str,
    random_: bool,
    level: int | None,
    seed: int | None,
    secret: bool,
    lab_option: str,
    output: str,
) -> None:
    """Make a fault in a running lab, as real clusters have it; heal mends it.

    netlab break --list shows the faults.  The lab keeps them, also after up and apply, until heal or up --reset.  With
    one lab running, LAB is not needed.
    """
    _check(names, list_=list_, at=at, random_=random_, chance=level is not None or seed is not None, secret=secret)
    if list_:
        _list(own_lab("".join(names), lab_option) if names or lab_option else "", output)
        return
    lab = own_lab("".join(names[: len(names) - (not random_)]), lab_option)
    from netlab.faults import apply
    from netlab.faults.catalogue import fault
    from netlab.runtime.lab import refault

    def choose(plain: Plain, there: tuple[Injected, ...]) -> tuple[Injected, ...]:
        if random_:
            from netlab.faults.draw import drawn

            new = drawn(plain, there, level=level or 0, seed=seed)
        else:
            new = apply.placed(names[-1], at, plain, there)
        return (*there, new._replace(secret=secret))

    if not random_:
        if len(names) == 1 and names[0] == lab:
            raise BadInput(f"which fault for lab {names[0]}?", hint=f"netlab break --list {names[0]} shows them")
        fault(names[-1])  # an unknown one is said before anything is done
    done = refault(lab, choose, verb="break", say=out.note)
    id_, where, symptom, cause = faults.row(done.lab.faults[-1])
    if output == "json":
        from netlab.output.faults import Broken

        out.document(
            Broken(
                fault=id_,
                at=where,
                symptom=symptom,
                cause=cause,
                lab=lab,
                changed=done.changed,
                seconds=round(done.seconds, 3),
            )
        )
    elif id_ is None:
        out.line(f"lab {lab} has a secret fault more; {out.command()} heal {lab} mends it and names it")
    else:
        out.line(f"fault {id_} at {where} of lab {lab}: {out.count(done.changed, 'change')}")
        out.line(f"symptom: {symptom}")
        out.line(f"cause: {cause}")
        out.line(f"{out.command()} heal {lab} {id_} mends it")


def _check(names: tuple[str, ...], *, list_: bool, at: str, random_: bool, chance: bool, secret: bool) -> None:
    """Refuse words and options that contradict each other."""
    if list_ and (at or random_ or chance or secret or len(names) > 1):
        raise BadInput("--list takes no other option, and at most a LAB")
    if random_ and (at or len(names) > 1):
        raise BadInput("--random chooses the fault and its place: name a LAB alone")
    if chance and not random_:
        raise BadInput("--level and --seed belong to --random")
    if not list_ and not random_ and not 1 <= len(names) <= 2:
        raise BadInput(
            "which fault?" if not names else "name a LAB and a FAULT", hint="netlab break --list shows the faults"
        )


def _list(lab: str, output: str) -> None:
    """Print the catalogue; of a lab what it can have."""
    from netlab.faults.catalogue import every, planes_of

    known = every()
    if lab:
        from netlab.runtime.state.running import load_plain

        plain = load_plain(lab)
        known = [each for each in known if each.where(plain.cluster, plain.want)]
    if output == "json":
        from netlab.output.faults import KnownFault

        out.document(
            [
                KnownFault(
                    fault=each.id,
                    symptom=each.symptom,
                    cause=each.cause,
                    level=each.level,
                    planes=planes_of(each),
                    source=each.source,
                    requires=each.requires,
                    look_alikes=each.look_alikes,
                )
                for each in known
            ]
        )
        return
    out.table([(each.id, str(each.level), each.symptom) for each in known], ("FAULT", "LEVEL", "SYMPTOM"))
