"""The session of a learner: a lab, the step, and the checks of the step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from netlab.errors import BadInput, StateError
from netlab.exercise.checks.ask import Ask
from netlab.exercise.exercise import Exercise, Scene, Step
from netlab.exercise.handin import handed
from netlab.exercise.parts import Ticks, baselines, part_start
from netlab.faults.apply import Plain, placed
from netlab.faults.injected import Injected
from netlab.learn.facts import KernelFacts
from netlab.learn.progress import Done, Progress, keep_state, now
from netlab.near import near
from netlab.runtime import lab as labs
from netlab.runtime.state.resolved import identity
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.runtime.state.running import load_running, name_of
from netlab.spec import read_texts
from netlab.tuples import NamedTuple

Say = Callable[[str], None]
Rebuild = Callable[[Applied, Say], None]


class Tick(NamedTuple):
    """What became true: ``checks`` are their numbers; ``done``: the step is over."""

    step: int
    checks: tuple[int, ...]
    saw: tuple[str, ...]
    done: bool


def rebuilt(draft: Applied, say: Say) -> None:
    """Take the lab down and build it as its files say."""
    labs.down(name_of(draft), say)
    labs.up(draft, reset=True, say=say)


class Session:
    """One exercise in one lab.  ``folder``: the exercise's; ``draft``: the lab as its files say; ``progress`` is replaced as the learner goes on.

    ``rebuild``: how the lab is made as its files say.
    """

    def __init__(
        self, exercise: Exercise, folder: Path, draft: Applied, progress: Progress, say: Say = lambda _: None,
        *, rebuild: Rebuild = rebuilt,
    ) -> None:  # fmt: skip
        self.exercise, self.draft, self.progress = exercise, draft, progress
        self._folder = folder
        self.lab = name_of(draft)
        self._say, self._rebuild = say, rebuild
        self._answers: dict[str, str] = {}
        self._facts: KernelFacts | None = None
        self._hint = 0
        self._since = time.monotonic()
        self._ticks = None if self.over else Ticks(self.step)

    @property
    def number(self) -> int:
        """The number of the current step."""
        return self.progress.step

    @property
    def over(self) -> bool:
        return self.number >= len(self.exercise.steps)

    @property
    def step(self) -> Step:
        return self.exercise.steps[self.number]

    @property
    def ticks(self) -> Ticks:
        """The checks of the current step."""
        assert self._ticks is not None
        return self._ticks

    # -- the scene ------------------------------------------------------------------------------------------------------

    def begin(self, *, verify: bool = True) -> None:
        """``prepare``, and look at the step from now on."""
        self.prepare(verify=verify)
        if not self.over:
            self.resume()

    def prepare(self, *, verify: bool = True) -> None:
        """Build the lab anew for the part of the current step, and make its scene.

        Steps of the part that were done before are to be done again, unless only questions and captures are in them.
        Raises StateError where a check of the part is true before anything was done.
        """
        self.close()
        self._rebuild(self.draft, self._say)
        if self.over:
            return
        start = part_start(self.exercise, self.number)
        again = next((number for number in range(start, self.number) if not _keeps(self.exercise.steps[number])), None)
        if again is not None:
            self.progress = replace(self.progress, done=self.progress.done[:again])
        self._make(self.exercise.steps[start].scene)
        if verify:
            facts = KernelFacts(self.lab, {})
            facts.listen(self.step)
            try:
                wrong = list(baselines(self.exercise, self.number, facts))
            finally:
                facts.close()
            if wrong:
                raise StateError("\n".join(map(str, wrong)), hint="the exercise is wrong on this host; skip the step")

    def resume(self) -> None:
        """Look at the current step from now on, in the lab as it is."""
        self.close()
        self._facts = KernelFacts(self.lab, self._answers)
        self._facts.listen(self.step)
        self._ticks = Ticks(self.step)
        self._hint = 0
        self._since = time.monotonic()

    def _make(self, scene: Scene) -> None:
        if scene.without:
            there = {identity(each) for each in load_running(self.lab).documents.objects}
            for missing in (each for each in scene.without if each not in there):
                raise BadInput(f"the lab has no {missing.strip('/')}{near(missing, there)}")
            labs.change(self.lab, delete=scene.without, say=self._say)
        if scene.manifests:
            texts, problems = read_texts([self._folder / name for name in scene.manifests])
            if problems:
                raise BadInput(list(problems))
            labs.change(self.lab, add=[tuple(text) for text in texts], say=self._say)
        if scene.faults:

            def faults(plain: Plain, _: tuple[Injected, ...]) -> tuple[Injected, ...]:
                made: tuple[Injected, ...] = ()
                for name, at in scene.faults:  # secret: the learner is to find them
                    made = (*made, placed(name, at, plain, made)._replace(secret=True))
                return made

            labs.refault(self.lab, faults, verb="break", say=self._say)

    def close(self) -> None:
        """End the captures of the step."""
        if self._facts is not None:
            self._facts.close()
            self._facts = None

    # -- the step -------------------------------------------------------------------------------------------------------

    def look(self, *, sending: bool = True) -> Tick | None:
        """Look at the checks of the current step; None where nothing became true."""
        if self.over or self._facts is None:
            return None
        number, ticks = self.number, self.ticks
        self._facts.refresh()
        new = ticks.look(self._facts, sending=sending)
        if not new and not ticks.done:
            return None
        saw = tuple(look.saw for at in new if (look := ticks.looks[at]) is not None)
        if ticks.done:
            self._go_on("done")
        return Tick(number, tuple(new), saw, number != self.number)

    def state(self) -> int:
        """A number that changes with the observed objects of the lab."""
        assert self._facts is not None
        self._facts.refresh()
        return hash(frozenset(map(repr, self._facts.objects())))

    def _go_on(self, how: str) -> None:
        self._keep_state()
        seconds = round(time.monotonic() - self._since, 1)
        self.progress = replace(self.progress, done=(*self.progress.done, Done(how, seconds)))
        if self.over:
            self.progress = replace(self.progress, ended=now())
            self.close()
        elif self.step.scene:
            self.begin()
        else:
            self.resume()

    def _keep_state(self) -> None:
        """Keep the lab as the step leaves it, for a hand-in."""
        assert self._facts is not None
        applied = RunDir(self.lab).applied()
        if applied is not None:
            seen = self._facts.seen()
            state = handed(self.number, seen.state.values(), seen.learned, applied)
            keep_state(self.exercise.name, self.progress.seed, state)

    # -- what the learner asks for ----------------------------------------------------------------------------------------

    def hint(self) -> str:
        """The next hint of the step; "" where there is no other."""
        if self.over or self._hint >= len(self.step.hints):
            return ""
        self._hint += 1
        self.progress = replace(self.progress, hints=self.progress.hints + 1)
        return self.step.hints[self._hint - 1]

    def answer(self, value: str) -> bool | None:
        """Answer the first open question of the step; None where it has none, else whether the answer is right."""
        for number, wanted in enumerate(() if self.over else self.step.wanted):
            look = self.ticks.looks[number]
            if isinstance(wanted.check, Ask) and not (look is not None and look.ok):
                assert self._facts is not None
                self._facts.refresh()
                if wanted.check.look(self._facts).ok:
                    continue  # answered since the last look
                self._answers[wanted.check.question] = value
                self.progress = replace(self.progress, answers={**self.progress.answers, wanted.check.question: value})
                return wanted.check.look(self._facts).ok
        return None

    def skip(self) -> None:
        """Leave the step as it is, and go on with the next."""
        if not self.over:
            self._go_on("skipped")

    def reset(self) -> None:
        """Build the lab of the current part again."""
        self.progress = replace(self.progress, resets=self.progress.resets + 1)
        self.begin(verify=False)


def _keeps(step: Step) -> bool:
    return all(wanted.check.KEEPS for wanted in step.wanted)
