"""The texts of ``netlab learn``: lines of at most 80 columns, readable without colour."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator

from netlab.cli import out
from netlab.exercise.checks.ask import Ask
from netlab.exercise.exercise import Exercise, Step
from netlab.learn.progress import Progress
from netlab.learn.session import Tick

_WIDTH = 78
_COMMANDS = (
    "commands: hint, answer VALUE, step, skip, reset, page, help, quit",
    "to look: netlab get pods; netlab exec NAME -- COMMAND in a Pod or on a node",
)
#: A shell function: bash's own ``help`` knows nothing of the exercise.
HELP = f"help() {{ [ $# = 0 ] || {{ builtin help \"$@\"; return; }}; printf '%s\\n' {' '.join(map(shlex.quote, _COMMANDS))}; }}\n"


def wrapped(text: str, indent: str = "") -> list[str]:
    """A paragraph as lines that fit."""
    return textwrap.wrap(text, min(_WIDTH, out.width()), initial_indent=indent, subsequent_indent=indent)


def title(exercise: Exercise, number: int) -> str:
    """The line above the prompt."""
    if number >= len(exercise.steps):
        return f"[done] {exercise.title}"
    return f"[{number + 1}/{len(exercise.steps)}] {exercise.steps[number].title}"


def opening(exercise: Exercise) -> Iterator[str]:
    """What a learner reads first."""
    yield f"{exercise.title} (level {exercise.level}, about {exercise.minutes} minutes)"
    yield from wrapped(f"Goal: {exercise.goal}")
    yield from _COMMANDS


def step(exercise: Exercise, number: int) -> Iterator[str]:
    """The task of a step."""
    now = exercise.steps[number]
    yield title(exercise, number)
    yield from wrapped(now.text)
    yield from questions(now)


def questions(step: Step) -> Iterator[str]:
    """The questions of a step."""
    for wanted in step.wanted:
        if isinstance(wanted.check, Ask):
            yield from wrapped(f"? {wanted.check.question}", "  ")
            yield "  Type: answer VALUE"


def ticked(exercise: Exercise, tick: Tick) -> Iterator[str]:
    """What became true."""
    many = len(exercise.steps[tick.step].wanted) > 1 or not tick.done
    for number, saw in zip(tick.checks, tick.saw, strict=True):
        if many:
            yield f"  ok  {exercise.steps[tick.step].wanted[number].kind}: {saw}"[:_WIDTH]
    if tick.done:
        saw = f" ({tick.saw[-1]})" if tick.saw and not many else ""
        yield f"  OK  step {tick.step + 1} of {len(exercise.steps)} is done{saw}"[:_WIDTH]


def closing(exercise: Exercise, progress: Progress, answer: Iterable[str], following: str) -> Iterator[str]:
    """What a learner reads at the end."""
    skipped = sum(done.how == "skipped" for done in progress.done)
    seconds = int(sum(done.seconds for done in progress.done))
    rest = f", {out.count(skipped, 'step')} skipped" if skipped else ""
    hints = f", {out.count(progress.hints, 'hint')}" if progress.hints else ""
    yield f"{exercise.title}: done in {seconds // 60} min {seconds % 60:02} s{hints}{rest}"
    paragraphs = list(answer)
    if paragraphs:
        yield ""
        yield "The interview answer:"
        for paragraph in paragraphs:
            yield from wrapped(paragraph, "  ")
    if following:
        yield ""
        yield f"Next: netlab learn {following}"
