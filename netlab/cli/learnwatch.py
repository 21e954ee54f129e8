"""The watcher of ``netlab learn``: a process beside the shell that looks at the checks and prints what is done.

Packets of a check are sent only when something may have changed: after a command of the learner, a few times within four
seconds because effects may be late, and whenever the observed objects of the lab change.  So a learner's own captures
see few packets of the watcher.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from netlab.cli import learntext, out
from netlab.cli.learnshell import POKE, Channel
from netlab.cli.terminal import write_above
from netlab.errors import NetlabError
from netlab.learn import course, page, progress
from netlab.learn.session import Session, Tick

_POLL = 0.3  # seconds between two looks at what needs no packet
_AGAIN = (0.0, 0.4, 1.0, 2.0, 4.0)  # seconds after a command
_TRACE_LINES = 60
_WIDE = 79


class Watcher:
    """``shell``: the process id of the shell; ``terminal``: its descriptor, -1 where there is none."""

    def __init__(self, session: Session, channel: Channel, folder: Path, shell: int, terminal: int) -> None:
        self._session, self._channel, self._folder = session, channel, folder
        self._shell, self._terminal = shell, terminal
        self._due: list[float] = []
        self._state = 0
        self._lines: list[str] = []
        self._typed = b""

    def run(self) -> None:
        """Watch until the shell has gone."""
        for number in (signal.SIGINT, signal.SIGTTOU, signal.SIGTSTP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        self._session.resume()
        self._show()
        while os.getppid() == self._shell:
            ready, _, _ = select.select([self._channel.requests[0]], [], [], _POLL)
            if ready:
                self._typed += self._channel.read()
                *lines, self._typed = self._typed.split(b"\n")
                for line in lines:
                    self._take(line.decode(errors="replace"))
            self._look()
            self._print()
        self._look(all_of_it=True)
        if self._terminal < 0:  # whoever has the terminal now is not to be written to
            self._print()
        self._session.close()

    # -- looking --------------------------------------------------------------------------------------------------------

    def _look(self, *, all_of_it: bool = False) -> None:
        """Look at the checks until nothing more is done at once."""
        while not self._session.over:
            try:
                tick = self._session.look(sending=all_of_it or self._is_due())
            except (NetlabError, OSError, ValueError) as error:  # a lab that is down, or half made by the learner
                self._lines += [] if self._state == -1 else [f"the lab cannot be looked at: {error}"]
                self._state = -1
                return
            if tick is None:
                return
            self._tell(tick)
            all_of_it = all_of_it or tick.done

    def _is_due(self) -> bool:
        """Whether packets may be sent now."""
        state = self._session.state()
        changed, self._state = state != self._state, state
        now = time.monotonic()
        due = [at for at in self._due if at <= now]
        self._due = [at for at in self._due if at > now]
        return changed or bool(due) or self._terminal < 0

    def _tell(self, tick: Tick) -> None:
        exercise = self._session.exercise
        self._lines += learntext.ticked(exercise, tick)
        if tick.done:
            self._went_on()

    def _went_on(self) -> None:
        """Another step is the current one."""
        session = self._session
        progress.keep(session.exercise.name, self._folder, session.progress)
        self._due = [time.monotonic() + later for later in _AGAIN]
        if session.over:
            self._lines += ["", *self._end()]
        else:
            self._lines += ["", *learntext.step(session.exercise, session.number)]
        self._show()

    def _end(self) -> Iterable[str]:
        session = self._session
        if session.exercise.trace:
            yield "Your packet:"
            yield from self._traced(*session.exercise.trace)
            yield ""
        answer = page.interview_answer(self._folder)
        yield from learntext.closing(session.exercise, session.progress, answer, course.following(session.exercise))

    def _traced(self, client: str, target: str) -> list[str]:
        words = [sys.executable, "-m", "netlab", "trace", "--lab", self._session.lab, client, target]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        lines = (done.stdout or done.stderr).splitlines()
        return [line[:_WIDE] for line in lines[:_TRACE_LINES]]

    # -- the shell ------------------------------------------------------------------------------------------------------

    def _take(self, line: str) -> None:
        """A line of the shell: it is at its prompt, or a learner's command."""
        word, _, rest = line.partition(" ")
        if word == POKE:
            self._due = [time.monotonic() + later for later in _AGAIN]
            return
        try:
            reply = list(self._replied(word, rest.strip()))
        except (NetlabError, OSError, ValueError) as error:
            reply = [f"netlab: {error}"]
        self._channel.reply("\n".join(reply))

    def _replied(self, word: str, rest: str) -> Iterable[str]:
        session = self._session
        if session.over:
            yield f"the exercise is done; type quit, and netlab learn {session.exercise.name} --again to repeat it"
        elif word == "step":
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

    # -- printing -------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        self._channel.entitle(learntext.title(self._session.exercise, self._session.number))

    def _print(self) -> None:
        """Print what is to be said, while the shell waits at its prompt."""
        if not self._lines or not (self._terminal < 0 or self._is_at_prompt()):
            return
        lines = [part for line in self._lines for part in line.split("\n")]
        self._lines = []
        if self._terminal < 0:
            out.line("\n".join(lines))
            sys.stdout.flush()
            return
        with contextlib.suppress(OSError):
            write_above(self._terminal, lines)

    def _is_at_prompt(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgid(self._shell)
        except OSError:
            return False
