"""The documents of ``netlab learn``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from netlab.plain import document


@document
class CourseExercise:
    """An exercise of the course; ``lacks`` are names of ``netlab doctor``'s checks, and such an exercise cannot run.

    ``progress``: ``new``, ``begun`` or ``done``; ``step`` of ``steps`` is the current one, ``steps`` where all are done.
    """

    exercise: str
    course: int
    title: str
    goal: str
    level: int
    minutes: int
    runs: bool
    lacks: tuple[str, ...]
    progress: Literal["new", "begun", "done"]
    step: int
    steps: int


@document
class HandInStep:
    """A step: ``how`` is ``done``, ``skipped``, or "" where it was not reached; ``seconds`` since the step before."""

    title: str
    how: str
    seconds: float


@document
class HandInState:
    """The observed lab at the end of step ``step`` (from 0).

    ``objects`` are links, addresses, routes, neighbours, forwarding entries, sysctls and queues; ``learned`` what the kernel
    had learned; ``rules`` the nftables objects that were there (namespace, name); ``other`` what a grader does not make.
    ``manifests``, ``deleted`` and ``labels`` are what was applied, deleted and labelled in the running lab.
    """

    step: int
    objects: tuple[Mapping[str, Any], ...]
    learned: tuple[Mapping[str, Any], ...]
    rules: tuple[tuple[str, str], ...]
    other: tuple[str, ...]
    manifests: tuple[tuple[str, ...], ...]
    deleted: tuple[str, ...]
    labels: Mapping[str, Mapping[str, str | None]]


@document
class HandIn:
    """What ``netlab learn --hand-in`` writes: no field of it is a command.  Times are seconds since the epoch."""

    kind: str
    version: int
    netlab: str
    exercise: str
    lab: str
    seed: int
    learner: str
    began: float
    ended: float
    handed_in: float
    hints: int
    resets: int
    steps: tuple[HandInStep, ...]
    answers: Mapping[str, str]
    spec: tuple[tuple[str, ...], ...]
    states: tuple[HandInState, ...]


@document
class GradedCheck:
    """A check of a step: ``result`` is ``right``, ``wrong``, ``as handed in`` (packets of then cannot be seen again) or
    ``not reached``; ``saw`` what was seen in the lab that was made of the hand-in.
    """

    step: int
    title: str
    check: str
    question: str
    result: Literal["right", "wrong", "as handed in", "not reached"]
    saw: str


@document
class Grade:
    """The grade of a hand-in; ``refused`` says why it was not graded.  ``right`` of ``of`` checks count; ``seconds`` is the
    learner's time.
    """

    file: str
    learner: str
    exercise: str
    seed: int
    right: int
    of: int
    hints: int
    resets: int
    skipped: int
    seconds: float
    refused: str
    checks: tuple[GradedCheck, ...]


@document
class StudentStanding:
    """A student of a class: ``progress`` is ``none`` where nothing can be read, else as in ``netlab learn --list``; ``seconds``
    is the time of the steps that are over, ``since`` when the exercise was begun (seconds since the epoch).
    """

    student: str
    login: bool
    lab: str
    seed: int
    exercise: str
    progress: Literal["none", "begun", "done"]
    step: int
    steps: int
    hints: int
    resets: int
    skipped: int
    seconds: float
    since: float


@document
class ClassStatus:
    """A class on this machine: what ``netlab class new`` made, and how its students stand."""

    name: str
    exercise: str
    title: str
    students: tuple[StudentStanding, ...]
