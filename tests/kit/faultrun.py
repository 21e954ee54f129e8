"""Faults on a running lab, by packets: each is made, its probe must show it, and healed the lab must be as before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from netlab.errors import NetlabError
from netlab.faults.apply import Plain
from netlab.faults.catalogue import every
from netlab.faults.fault import Fault
from netlab.faults.injected import Injected
from netlab.observe.control import bites, observed
from netlab.plan import render
from netlab.planes import ROWS
from netlab.runtime import lab as labs
from netlab.runtime.state.rundir import Applied
from netlab.runtime.state.running import load_plain

#: What ``diagnose`` names first in a lab, and in how many seconds.
Diagnose = Callable[[str], tuple[str, float]]
SPEC = Path(__file__).with_name("faults.yaml").read_text(encoding="utf-8")


class Result(NamedTuple):
    """A fault that was tried: where, what the probe observed without it and with it, and what went wrong ("": nothing).

    ``named`` is what ``diagnose`` names first ("": it was not asked), in ``seconds``.
    """

    fault: Fault
    at: str
    before: str
    after: str
    wrong: str
    named: str = ""
    seconds: float = 0.0

    @property
    def is_named(self) -> bool:
        """Whether diagnose names the fault, or another that makes the same of this lab."""
        return self.named in (self.fault.id, *self.fault.look_alikes)


def spec(plane: str, name: str) -> str:
    """The lab in which every fault has a place."""
    text = SPEC.replace("PLANE", plane).replace("NAME", name)
    if "IPv6" in ROWS[plane].families:
        return text
    return text.replace("[IPv4, IPv6]", "[IPv4]").replace(', {name: outside6, address: "2001:db8::66"}', "")


def up(plane: str, name: str) -> Plain:
    """Bring the lab up; what it is without faults."""
    labs.up(Applied("/somewhere/lab.yaml", "", (("lab.yaml", spec(plane, name)),)))
    lab = load_plain(name)
    return Plain(lab.cluster, lab.want, lab.can)


def tried(lab: Plain, only: Collection[str] = (), diagnose: Diagnose | None = None) -> Iterator[Result]:
    """Try each fault (of these ids) at its first place, and have it diagnosed."""
    for each in every():
        if only and each.id not in only:
            continue
        places = each.where(lab.cluster, lab.state)
        if places and all(getattr(lab.host, need) for need in each.needs):
            yield _try(lab, each, places[0], diagnose)


def _try(lab: Plain, each: Fault, at: str, diagnose: Diagnose | None) -> Result:
    name, named, seconds = lab.cluster.lab, "", 0.0
    control = each.control(lab.cluster, at)
    assert control is not None
    before, after, wrong = observed(lab.cluster, control), "", ""
    try:
        labs.refault(name, lambda _, there: (*there, Injected(each.id, at)), verb="break")
        after = observed(lab.cluster, control)
        if not bites(control, before, after):
            wrong = f"the probe {control} does not show it"
        wrong = wrong or _drift(name, "broken")
        if diagnose is not None:
            named, seconds = diagnose(name)
        labs.refault(name, lambda _, there: tuple(it for it in there if it.fault != each.id), verb="heal")
    except NetlabError as error:
        wrong = f"{type(error).__name__}: {error}"
        labs.refault(name, lambda *_: (), verb="heal")
    wrong = wrong or _drift(name, "healed")
    if not wrong and (again := observed(lab.cluster, control)) != before:
        wrong = f"healed: {again} where it was {before}"
    return Result(each, at, before, after, wrong, named, seconds)


def _drift(name: str, when: str) -> str:
    operations = labs.diff(name)[1].operations
    return f"{when}: {[str(text) for text in render.drifts(operations)][:3]}" if operations else ""
