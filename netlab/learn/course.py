"""The course: the exercises that there are, in order, and whether this host can run them."""

from __future__ import annotations

from pathlib import Path

from netlab.errors import BadInput
from netlab.exercise.exercise import Exercise
from netlab.exercise.load import FILE, parse
from netlab.near import near
from netlab.runtime.doctor.examine import examine
from netlab.runtime.state.labs import available, find
from netlab.spec.text import decode
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """An exercise and its folder; ``lacks``: what this host has not, by names of ``netlab doctor``."""

    exercise: Exercise
    folder: Path
    lacks: tuple[str, ...] = ()


def read(folder: Path, seed: int = 0) -> Exercise:
    """The exercise of a lab's folder.  Raises BadInput."""
    file = folder / FILE
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file}: cannot be read: {error.strerror}") from error
    text, problem = decode(data, str(file))
    if problem is not None:
        raise BadInput([problem])
    exercise = parse(text, str(file), seed)
    if exercise.name != folder.resolve().name:
        raise BadInput(f"{file}: metadata.name: must be {folder.resolve().name}, the name of its folder")
    return exercise


def readable() -> tuple[list[tuple[Exercise, Path]], list[BadInput]]:
    """The exercises that there are, in the order of the course, with their folders; and what is wrong with others."""
    exercises, problems = [], []
    for lab in available():
        if (lab.path / FILE).is_file():
            try:
                exercises.append((read(lab.path), lab.path))
            except BadInput as error:
                problems.append(error)
    return sorted(exercises, key=lambda pair: (pair[0].course, pair[0].name)), problems


def course() -> tuple[list[Entry], list[BadInput]]:
    """The exercises in the order of the course, each with what this host lacks for it; and what is wrong with others."""
    exercises, problems = readable()
    report = examine()
    works = {check.name: check.works for check in report.checks}
    labs = {lab.lab: lab for lab in report.labs}
    entries = []
    for exercise, folder in exercises:
        lab = labs.get(folder.name)
        lacks = [*(lab.lacks if lab and lab.runs is False else ())]
        lacks += [name for name in exercise.requires if works.get(name) is False]
        entries.append(Entry(exercise, folder, tuple(dict.fromkeys(lacks))))
    return entries, problems


def following(exercise: Exercise) -> str:
    """The name of the next exercise of the course; "" after the last."""
    return next((each.name for each, _ in readable()[0] if each.course > exercise.course), "")


def chosen(name: str) -> Path:
    """The folder of an exercise by the name of its lab, or by a path.  Raises BadInput."""
    if "/" not in name:
        names = [lab.name for lab in available() if (lab.path / FILE).is_file()]
        if name not in names:
            listing = ", ".join(names) or "none"
            raise BadInput(f'there is no exercise "{name}"{near(name, names)}; there are: {listing}')
    folder = find(name).path
    if not (folder / FILE).is_file():
        raise BadInput(f"{folder}: there is no {FILE} in this folder")
    return folder
