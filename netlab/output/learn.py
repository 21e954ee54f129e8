"""The documents of ``netlab learn``."""

from __future__ import annotations

from typing import Literal

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
