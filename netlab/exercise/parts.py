"""The parts of an exercise, and what is true in its steps.

A part begins with a step that has a scene, or with the first step.  Checks of all its steps must fail when it begins:
the state of the lab changes after that by the learner alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.exercise.exercise import Exercise, Step, Wanted
from netlab.exercise.facts import Facts, Look
from netlab.tuples import NamedTuple


def part_start(exercise: Exercise, step: int) -> int:
    """The step with which the part of a step begins."""
    return max((number for number in range(step + 1) if exercise.steps[number].scene), default=0)


def part(exercise: Exercise, step: int) -> range:
    """The numbers of the steps of a step's part."""
    start = part_start(exercise, step)
    following = (number for number in range(start + 1, len(exercise.steps)) if exercise.steps[number].scene)
    return range(start, next(following, len(exercise.steps)))


class Wrong(NamedTuple):
    """A check whose baseline is not what it must be."""

    step: int
    wanted: Wanted
    look: Look

    def __str__(self) -> str:
        state = "does not hold" if self.wanted.holds else "is true"
        return f"step {self.step + 1}: the check {self.wanted.kind} {state} before anything was done ({self.look.saw})"


def baselines(exercise: Exercise, step: int, facts: Facts) -> Iterator[Wrong]:
    """The checks of a step's part that are not what they must be before anything was done."""
    start = part_start(exercise, step)
    for number in part(exercise, step):
        for wanted in exercise.steps[number].wanted:
            if wanted.holds and number != start:
                continue  # an earlier step of the part may be what makes it true
            look = wanted.check.look(facts)
            if look.ok != wanted.holds:
                yield Wrong(number, wanted, look)


class Ticks:
    """The checks of a step that are true; those that keep stay so."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.looks: list[Look | None] = [None] * len(step.wanted)

    def look(self, facts: Facts, *, sending: bool = True) -> Sequence[int]:
        """Look at the checks, and return the numbers of those that are true now and were not.

        ``sending`` False: those that send packets are left as they were.  They are left too while another check of the
        step fails that sends none: no packet is sent for a step that cannot be done yet.
        """
        before = [look is not None and look.ok for look in self.looks]
        quiet = [number for number, wanted in enumerate(self.step.wanted) if not wanted.check.SENDS]
        for number in quiet:
            self._look(number, facts)
        if sending and all((look := self.looks[number]) is not None and look.ok for number in quiet):
            for number in range(len(self.looks)):
                if number not in quiet:
                    self._look(number, facts)
        return [number for number, look in enumerate(self.looks) if look is not None and look.ok and not before[number]]

    def _look(self, number: int, facts: Facts) -> None:
        look, check = self.looks[number], self.step.wanted[number].check
        if not (check.KEEPS and look is not None and look.ok):
            self.looks[number] = check.look(facts)

    @property
    def done(self) -> bool:
        return all(look is not None and look.ok for look in self.looks)
