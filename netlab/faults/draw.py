"""The choice of a fault by chance."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from netlab.errors import BadInput
from netlab.faults.apply import Plain
from netlab.faults.catalogue import every
from netlab.faults.fault import Fault
from netlab.faults.injected import Injected


def drawn(plain: Plain, open_faults: Collection[Injected], *, level: int = 0, seed: int | None = None) -> Injected:
    """A fault and a place by chance, of this level (0: any), that is not open.  Raises BadInput where there is none."""
    taken = {(each.fault, each.at) for each in open_faults}
    choice: list[tuple[Fault, Sequence[str]]] = []
    for each in every():
        if (level and each.level != level) or not all(getattr(plain.host, need) for need in each.needs):
            continue
        places = [at for at in each.where(plain.cluster, plain.state) if (each.id, at) not in taken]
        if places:
            choice.append((each, places))
    if not choice:
        of_level = f" of level {level}" if level else ""
        raise BadInput(f"no fault{of_level} can be made in lab {plain.cluster.lab}")
    chance = random.Random(seed)
    chosen, there = chance.choice(choice)
    return Injected(chosen.id, chance.choice(there))
