"""The rounds of a debugging league: which fault comes next, what is offered as its cause, and what a round is worth."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from netlab.faults.fault import Fault
from netlab.values import dataclass

CHOICES = 6
CAUSE, PLACE, MEND, QUICK, WRONG = 3, 2, 3, 2, -1
MINUTES = 10  # for a round; the first half of it is quick


@dataclass(frozen=True, slots=True)
class Round:
    """A fault at a place, and the ids that are offered as its cause, in their order."""

    fault: str
    at: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """How a round went; ``wrong`` counts wrong causes and places."""

    fault: str
    at: str
    cause: bool = False
    place: bool = False
    mended: bool = False
    gave_up: bool = False
    wrong: int = 0
    seconds: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether cause, place and mend are all right."""
        return self.cause and self.place and self.mended

    @property
    def points(self) -> int:
        """What it is worth; nothing where the learner gave up."""
        if self.gave_up:
            return 0
        quick = QUICK if self.whole and self.seconds <= MINUTES * 30 else 0
        return max(0, CAUSE * self.cause + PLACE * self.place + MEND * self.mended + quick + WRONG * self.wrong)


def drawn(candidates: Mapping[str, Sequence[str]], faults: Mapping[str, Fault], seed: int, count: int) -> list[Round]:
    """The rounds of a league: every second one is a look-alike of the one before, where there is one.

    ``candidates``: the places of each fault that may come.
    """
    chance = random.Random(seed)
    left = sorted(candidates)
    rounds: list[Round] = []
    while left and len(rounds) < count:
        alike = [id_ for id_ in left if rounds and len(rounds) % 2 and _alike(faults, rounds[-1].fault, id_)]
        chosen = chance.choice(alike or left)
        left.remove(chosen)
        near = [id_ for id_ in sorted(faults) if id_ != chosen and _alike(faults, chosen, id_)]
        others = [id_ for id_ in sorted(candidates) if id_ != chosen and id_ not in near]
        chance.shuffle(near)
        chance.shuffle(others)
        offered = [chosen, *near[: CHOICES // 2], *others][:CHOICES]
        chance.shuffle(offered)
        rounds.append(Round(chosen, chance.choice(list(candidates[chosen])), tuple(offered)))
    return rounds


def _alike(faults: Mapping[str, Fault], first: str, second: str) -> bool:
    return second in faults[first].look_alikes or first in faults[second].look_alikes
