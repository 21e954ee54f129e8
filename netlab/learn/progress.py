"""The progress of a user, kept in ``$XDG_STATE_HOME/netlab/learn.json``, which only that user can read.

It has seeds, steps and answers, and nothing of a secret fault: a league lives in its session alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

from netlab.output.learn import HandInState
from netlab.plain import dump, load
from netlab.runtime.state.sudo import behind_sudo
from netlab.values import dataclass

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Done:
    """A step that is over: ``how`` is ``done`` or ``skipped``; ``seconds`` since the step before."""

    how: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a user is in an exercise.  ``hints`` and ``resets`` are counts, ``answers`` the last ones by question;
    ``lab`` is the lab's name where it is not the spec's.
    """

    seed: int
    done: tuple[Done, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    hints: int = 0
    resets: int = 0
    began: float = 0.0
    ended: float = 0.0
    lab: str = ""

    @property
    def step(self) -> int:
        """The number of the current step."""
        return len(self.done)


@dataclass(frozen=True, slots=True)
class Book:
    """The exercises of a user by name, and the folder of the last one."""

    exercises: Mapping[str, Progress] = field(default_factory=dict)
    last: str = ""
    version: int = _VERSION


@dataclass(frozen=True, slots=True)
class Standing:
    """The exercise that goes on: ``steps`` as (title, ``done``, ``skipped`` or ""), ``checks`` of the current step as
    (kind, ``ok`` or "", what was seen).
    """

    title: str
    steps: tuple[tuple[str, str], ...]
    checks: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class States:
    """The lab at the end of each step of an exercise."""

    seed: int
    states: tuple[HandInState, ...]


def path() -> Path:
    """The file."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(folder):  # as the specification of these folders has it
        folder = os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(folder) / "netlab" / "learn.json"


def read() -> Book:
    """The user's progress; none where the file cannot be read, or is of another version."""
    try:
        return parsed(path().read_text(encoding="utf-8"))
    except OSError:
        return Book()


def parsed(text: str) -> Book:
    """The progress in the text of a file; none where it is no such text, or one of another version."""
    try:
        book = load(Book, json.loads(text))
    except (ValueError, RecursionError):
        return Book()
    return book if book.version == _VERSION else Book()


def keep(name: str, folder: Path, progress: Progress) -> None:
    """Put the progress of the exercise in a folder into the file; what cannot be written is not kept."""
    book = read()
    book = replace(book, exercises={**book.exercises, name: progress}, last=str(folder.resolve()))
    _write(path(), book)


def keep_state(name: str, seed: int, state: HandInState) -> None:
    """Keep the lab as it was at the end of a step, for a hand-in; those of another seed are forgotten."""
    kept = {each.step: each for each in states(name, seed)}
    kept[state.step] = state
    _write(_states(name), States(seed, tuple(kept[step] for step in sorted(kept))))


def states(name: str, seed: int) -> tuple[HandInState, ...]:
    """The kept labs of an exercise with this seed."""
    try:
        kept = load(States, json.loads(_states(name).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return ()
    return kept.states if kept.seed == seed else ()


def _states(name: str) -> Path:
    return path().with_name(f"learn-{name}.json")


def show(standing: Standing) -> None:
    """Write how the exercise stands, for ``netlab learn --watch`` in another terminal."""
    _write(_standing(), standing)


def standing() -> Standing | None:
    """How the exercise stands; None where none goes on."""
    try:
        return load(Standing, json.loads(_standing().read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def nothing_goes_on() -> None:
    """The session is over."""
    with contextlib.suppress(OSError):
        _standing().unlink()


def _standing() -> Path:
    return path().with_name("learn-now.json")


def _write(file: Path, value: Book | Standing | States) -> None:
    with contextlib.suppress(OSError):
        made = [folder for folder in (file.parent, *file.parent.parents) if not folder.exists()]
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, draft = tempfile.mkstemp(dir=file.parent, prefix=".learn-")  # mode 0600
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as stream:
                json.dump(dump(value), stream, indent=1)
            _own(draft, *map(str, made))
            os.replace(draft, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise


def _own(*paths: str) -> None:
    """Give what was made to the user behind sudo, whose home it may be in."""
    owner = behind_sudo()
    if owner is not None and os.stat(os.path.expanduser("~")).st_uid == owner[0]:
        for each in paths:
            os.chown(each, *owner)


def now() -> float:
    """Seconds since the epoch, as the file has them."""
    return round(time.time(), 1)
