"""A hand-in: written from a learner's progress, and read as the data of a stranger."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

from netlab import __version__
from netlab.errors import BadInput
from netlab.escape import terminal
from netlab.exercise.handin import FILE_MOST, VERSION, handed
from netlab.learn import progress
from netlab.learn.course import read as read_exercise
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.output.learn import HandIn, HandInState, HandInStep
from netlab.plain import load
from netlab.runtime import lab as labs
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import load_running


def made(folder: Path, lab: str, learner: str) -> HandIn:
    """The hand-in of an exercise, with the lab as it is now where its current step goes on.  Raises BadInput."""
    name = folder.resolve().name
    kept = progress.read().exercises.get(name)
    if kept is None:
        raise BadInput(f"exercise {name} was not begun", hint=f"netlab learn {name} begins it")
    exercise = read_exercise(folder, kept.seed)
    states = {each.step: each for each in progress.states(name, kept.seed)}
    spec: tuple[tuple[str, ...], ...] = ()
    rundir = RunDir(lab)
    if rundir.exists() and (applied := rundir.applied()) is not None:
        spec = applied.spec
        if kept.step < len(exercise.steps):
            seen = labs.observe(load_running(lab), rundir)
            states[kept.step] = handed(kept.step, seen.state.values(), seen.learned, applied)
    over = [(each.how, each.seconds) for each in kept.done]
    missing = len(exercise.steps) - len(over)
    return HandIn(
        kind="HandIn",
        version=VERSION,
        netlab=__version__,
        exercise=name,
        lab=lab,
        seed=kept.seed,
        learner=learner,
        began=kept.began,
        ended=kept.ended,
        handed_in=progress.now(),
        hints=kept.hints,
        resets=kept.resets,
        steps=tuple(
            HandInStep(title=step.title, how=how, seconds=seconds)
            for step, (how, seconds) in zip(exercise.steps, [*over, *[("", 0.0)] * missing], strict=True)
        ),
        answers=kept.answers,
        spec=spec,
        states=tuple(states[step] for step in sorted(states)),
    )


def content(document: HandIn) -> list[str]:
    """What is in a hand-in, in lines for the learner."""
    done = sum(step.how == "done" for step in document.steps)
    objects = sum(len(state.objects) for state in document.states)
    return [
        f"learner {terminal(document.learner)}, exercise {document.exercise}, values of seed {document.seed}",
        f"{done} of {len(document.steps)} steps done, with the time of each; {document.hints} hints, {document.resets} resets",
        f"{len(document.answers)} answers, as you typed them",
        f"the lab at the end of {len(document.states)} steps: {objects} links, addresses, routes, neighbours and sysctls",
        f"the lab's manifests, and {sum(len(state.manifests) for state in document.states)} that were applied",
        "no command, no file of yours, nothing of this machine outside the lab",
    ]


def read(file: str) -> HandIn:
    """A hand-in from a file.  Raises BadInput where it is none."""
    try:
        if os.path.getsize(file) > FILE_MOST:
            raise BadInput(f"{file}: a hand-in has at most {FILE_MOST >> 20} MiB")
        text = Path(file).read_text(encoding="utf-8")
        document = load(HandIn, json.loads(text, parse_constant=_refused))
    except OSError as error:
        raise BadInput(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInput(f"{file}: this is no hand-in of netlab learn: {terminal(str(error))[:120]}") from None
    if document.kind != "HandIn" or document.version != VERSION:
        raise BadInput(f"{file}: this is no hand-in of version {VERSION}, which this netlab grades")
    if not is_dns_label(document.lab, LAB_NAME_MAX):
        raise BadInput(f"{file}: {terminal(document.lab)[:80]} is no name of a lab")
    return document


def states_of(document: HandIn) -> dict[int, HandInState]:
    """The handed labs by their steps."""
    return {state.step: state for state in document.states}


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
