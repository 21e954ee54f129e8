"""An exercise for a program: words as lines of JSON on stdin, and how the exercise stands as lines of JSON on stdout.

The lab's page (``netlab.serve.exercise``) is that program.  The lab is not taken down: what serves it ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

from netlab.cli.drafts import draft
from netlab.errors import BadInput, NetlabError
from netlab.exercise.checks.ask import Ask
from netlab.exercise.load import FILE
from netlab.learn import course, page, progress
from netlab.learn.session import Session
from netlab.output.page import Check, Exercise, Step
from netlab.plain import dump
from netlab.runtime import lab as labs
from netlab.runtime.state.rundir import Applied, RunDir

_POLL = 0.3  # seconds between two looks at what needs no packet
_PACKETS = 2.0  # seconds between two looks at what does
_BYTES = 65536


def speak(lab: str) -> None:
    """Say how the exercise of a running lab stands, and do what is said, until stdin ends."""
    applied = RunDir(lab).applied()
    folder = Path(applied.source) if applied else Path()
    if applied is None or not (folder / FILE).is_file():
        _say(Exercise(none="This lab has no exercise: netlab learn --list shows the labs that have an exercise."))
        return
    try:
        _Speaker(lab, folder).run()
    except NetlabError as error:
        _say(Exercise(none=str(error)))


class _Speaker:
    def __init__(self, lab: str, folder: Path) -> None:
        self._lab, self._folder = lab, folder
        self._session: Session | None = None
        self._hints: list[str] = []
        self._note = ""
        self._due = 0.0
        self._said = Exercise()
        kept = progress.read().exercises.get(folder.resolve().name)
        self._kept = kept if kept and not kept.ended else None
        self._exercise = course.read(folder, self._kept.seed if self._kept else 0)
        self._words: dict[str, Callable[[str], None]] = {
            "look": lambda _: None, "begin": self._begin, "again": self._again, "hint": self._hint,
            "answer": self._answer, "skip": self._skip, "reset": self._reset, "leave": self._leave,
        }  # fmt: skip

    def run(self) -> None:
        """Until stdin ends."""
        typed = b""
        while True:
            self._show()
            if select.select([0], [], [], _POLL if self._session else None)[0]:
                data = os.read(0, _BYTES)
                if not data:
                    self._end()
                    return
                *lines, typed = (typed + data).split(b"\n")
                for line in lines:
                    word = json.loads(line)
                    self._safely(partial(self._words[word["do"]], word["value"]))
            if self._session is not None:
                self._safely(self._look)

    def _safely(self, action: Callable[[], None]) -> None:
        """A lab that is down, or half made by the learner, is said and looked at again."""
        try:
            action()
        except (NetlabError, OSError, ValueError) as error:
            self._note = f"the lab cannot be looked at: {error}"

    # -- words

    def _begin(self, _: str) -> None:
        if self._session is not None:
            return
        self._start(self._kept or progress.Progress(random.randrange(2**31), began=progress.now()))

    def _again(self, _: str) -> None:
        self._end()
        self._start(progress.Progress(random.randrange(2**31), began=progress.now()))

    def _start(self, begun: progress.Progress) -> None:
        self._exercise = course.read(self._folder, begun.seed)
        if begun.step >= len(self._exercise.steps):
            begun = progress.Progress(begun.seed, began=progress.now())
        wanted = draft(self._lab, (), "")
        if (self._folder / FILE).resolve().parent != Path(wanted.source).resolve():
            raise BadInput(f"lab {self._lab} came from {wanted.source}")
        _say(replace(self._standing(), busy="The lab is built anew…"))
        session = Session(self._exercise, self._folder, wanted, begun, rebuild=_anew)
        session.begin()
        self._session = session
        self._went_on()

    def _hint(self, _: str) -> None:
        hint = self._session.hint() if self._session else ""
        if hint:
            self._hints.append(hint)
            self._keep()
        else:
            self._note = "There is no other hint for this step."

    def _answer(self, value: str) -> None:
        right = self._session.answer(value) if self._session and value else None
        self._note = {None: "", True: "Yes.", False: "No, that is not the answer. Look again, or take a hint."}[right]
        self._keep()

    def _skip(self, _: str) -> None:
        if self._session:
            _say(replace(self._standing(), busy="The next step is made…"))
            self._session.skip()
            self._went_on()

    def _reset(self, _: str) -> None:
        if self._session and not self._session.over:
            _say(replace(self._standing(), busy="The lab is built anew…"))
            self._session.reset()
            self._went_on()

    def _leave(self, _: str) -> None:
        self._end()

    # -- looks

    def _look(self) -> None:
        session = self._session
        assert session is not None
        went_on = True
        while went_on and not session.over:
            sending = time.monotonic() >= self._due
            tick = session.look(sending=sending)
            if sending:
                self._due = time.monotonic() + _PACKETS
            went_on = tick is not None and tick.done
            if went_on:
                self._went_on()

    def _went_on(self) -> None:
        """Another step is the current one."""
        self._hints, self._note, self._due = [], "", 0.0
        self._keep()

    def _keep(self) -> None:
        if self._session is not None:
            progress.keep(self._exercise.name, self._folder, self._session.progress)

    def _end(self) -> None:
        if self._session is not None:
            self._kept = None if self._session.over else self._session.progress
            self._session.close()
            self._session = None
        self._hints, self._note = [], ""

    # -- how it stands

    def _show(self) -> None:
        now = self._standing()
        if now != self._said:
            self._said = now
            _say(now)

    def _standing(self) -> Exercise:
        exercise, session = self._exercise, self._session
        done = [each.how for each in (session.progress if session else self._kept or progress.Progress(0)).done]
        titles = [step.title for step in exercise.steps]
        standing = Exercise(
            title=exercise.title,
            goal=exercise.goal,
            level=exercise.level,
            minutes=exercise.minutes,
            goes_on=session is not None,
            is_begun=self._kept is not None,
            note=self._note,
            steps=tuple(Step(title=title, how=how) for title, how in zip_longest(titles, done, fillvalue="")),
        )
        if session is None:
            return standing
        if session.over:
            return replace(
                standing,
                over=True,
                seconds=int(sum(each.seconds for each in session.progress.done)),
                hints_taken=session.progress.hints,
                answer=tuple(page.interview_answer(self._folder)),
                following=course.following(exercise),
            )
        checks = (
            Check(
                kind=wanted.kind,
                ok=bool(look and look.ok),
                saw=look.saw if look else "",
                question=wanted.check.question if isinstance(wanted.check, Ask) else "",
            )
            for wanted, look in zip(session.ticks.step.wanted, session.ticks.looks, strict=True)
        )
        return replace(
            standing,
            number=session.number,
            text=session.step.text,
            checks=tuple(checks),
            hints=tuple(self._hints),
            more_hints=len(session.step.hints) > len(self._hints),
        )


def _anew(wanted: Applied, say: Callable[[str], None]) -> None:
    """The lab as its files say, without an end in between."""
    labs.up(wanted, reset=True, say=say)


def _say(standing: Exercise) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(dump(standing)) + "\n")
        sys.stdout.flush()
