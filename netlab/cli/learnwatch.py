"""What stands beside the shell of an exercise: the checks of the current step, and the learner's commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from netlab.cli import learntext
from netlab.cli.beside import Beside
from netlab.cli.learnshell import Channel
from netlab.learn import course, page, progress
from netlab.learn.session import Session

_TRACE_LINES = 60
_WIDE = 79


def traced(lab: str, client: str, target: str) -> list[str]:
    """The packet of a learner, as ``netlab trace`` follows it, cut to the width of a terminal."""
    words = [sys.executable, "-m", "netlab", "trace", "--lab", lab, client, target]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return [line[:_WIDE] for line in (done.stdout or done.stderr).splitlines()[:_TRACE_LINES]]


class Watcher(Beside):
    """An exercise; ``folder`` is the exercise's."""

    def __init__(self, session: Session, folder: Path, channel: Channel, shell: int, terminal: int) -> None:
        super().__init__(channel, shell, terminal)
        self._session, self._folder = session, folder
        self._shown: progress.Standing | None = None

    def begin(self) -> None:
        self._show()
        self._session.resume()

    def end(self) -> None:
        self._session.close()
        progress.nothing_goes_on()

    def look(self) -> None:
        self._look()
        now = self._standing()
        if now != self._shown:
            self._shown = now
            progress.show(now)

    def _standing(self) -> progress.Standing:
        session = self._session
        done = [each.how for each in session.progress.done]
        titles = [step.title for step in session.exercise.steps]
        steps = tuple(zip(titles, [*done, *[""] * (len(titles) - len(done))], strict=True))
        if session.over:
            return progress.Standing(session.exercise.title, steps, ())
        ticks = session.ticks
        checks = [
            (wanted.kind, "ok" if look and look.ok else "", look.saw if look else "")
            for wanted, look in zip(ticks.step.wanted, ticks.looks, strict=True)
        ]
        return progress.Standing(session.exercise.title, steps, tuple(checks))

    def _look(self) -> None:
        """Look at the checks until nothing more is done at once."""
        session, went_on = self._session, False
        while not session.over:
            tick = session.look(sending=went_on or self.is_due(session.state))
            if tick is None:
                return
            self.lines += learntext.ticked(session.exercise, tick)
            went_on = tick.done
            if went_on:
                self._went_on()

    def _went_on(self) -> None:
        """Another step is the current one."""
        session = self._session
        progress.keep(session.exercise.name, self._folder, session.progress)
        self.soon()
        self.lines += ["", *(self._closing() if session.over else learntext.step(session.exercise, session.number))]
        self._show()

    def _closing(self) -> Iterable[str]:
        session = self._session
        if session.exercise.trace:
            yield "Your packet:"
            yield from traced(session.lab, *session.exercise.trace)
            yield ""
        answer = page.interview_answer(self._folder)
        yield from learntext.closing(session.exercise, session.progress, answer, course.following(session.exercise))

    def _show(self) -> None:
        self.channel.entitle(learntext.title(self._session.exercise, self._session.number))

    def replied(self, word: str, rest: str) -> Iterable[str]:
        session = self._session
        if session.over:
            yield f"the exercise is done; type quit, and netlab learn {session.exercise.name} --again to repeat it"
            return
        if word == "step":
            yield from learntext.step(session.exercise, session.number)
            yield from self._seen()
        elif word == "hint":
            hint = session.hint()
            yield from learntext.wrapped(f"Hint: {hint}" if hint else "There is no other hint for this step.")
            yield from self._seen()
        elif word == "answer":
            yield from self._answered(rest)
        elif word == "skip":
            number = session.number
            session.skip()
            yield f"step {number + 1} is skipped"
            self._went_on()
        elif word == "reset":
            session.reset()
            yield f"lab {session.lab} is as it was when this part began"
            self._went_on()
        progress.keep(session.exercise.name, self._folder, session.progress)

    def _answered(self, value: str) -> Iterable[str]:
        if not value:
            yield "type: answer VALUE"
            return
        right = self._session.answer(value)
        if right is None:
            yield "this step has no open question"
        elif not right:
            yield "No, that is not the answer. Look again, or type hint."

    def _seen(self) -> Iterable[str]:
        """What the checks of the step saw last, of those that are not true."""
        ticks = self._session.ticks
        for wanted, look in zip(ticks.step.wanted, ticks.looks, strict=True):
            if look is not None and not look.ok:
                yield f"  not yet  {wanted.kind}: {look.saw}"[:_WIDE]
