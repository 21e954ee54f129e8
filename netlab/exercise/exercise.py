"""An exercise as it was read for a learner: the variables are drawn, the checks are made."""

from __future__ import annotations

from netlab.errors import Mark
from netlab.exercise.checks.base import Check
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Scene:
    """What is made when a step begins: faults (id, place or ""), objects that are taken away (by identity), and manifests
    that are applied (files below the exercise's folder).
    """

    faults: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.faults or self.without or self.manifests)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A check of a step.  ``holds``: it is true before anything was done, and must stay so."""

    kind: str
    check: Check
    holds: bool
    mark: Mark


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an exercise."""

    title: str
    text: str
    wanted: tuple[Wanted, ...]
    scene: Scene = Scene()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exercise:
    """``trace``: the client and the target of the packet that the learner sees at the end, or none."""

    name: str
    title: str
    goal: str
    course: int
    level: int
    minutes: int
    steps: tuple[Step, ...]
    seed: int
    requires: tuple[str, ...] = ()
    trace: tuple[str, str] | None = None
