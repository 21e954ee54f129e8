"""A process beside a learner's shell: it takes what the shell sends, looks at the lab, and prints while the shell waits.

Packets are sent only when something may have changed: after a command of the learner, a few times within four seconds
because effects may be late, and whenever the observed objects of the lab change.  So a learner's own captures see few
packets of this process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable

from netlab.cli import labshell, out
from netlab.cli.learnshell import FINISH, POKE, Channel
from netlab.cli.terminal import write_above
from netlab.errors import NetlabError

_POLL = 0.3  # seconds between two looks at what needs no packet
_AGAIN = (0.0, 0.4, 1.0, 2.0, 4.0)  # seconds after a command


class Beside:
    """``shell``: the process id of the shell; ``terminal``: its descriptor, -1 where there is none."""

    def __init__(self, channel: Channel, shell: int, terminal: int) -> None:
        self.channel = channel
        self._shell, self._terminal = shell, terminal
        self._due: list[float] = []
        self._state = 0
        self.lines: list[str] = []
        self._typed = b""
        self._blind = False

    # -- what a kind of session does ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Once, before anything else."""

    def look(self) -> None:
        """Look at the lab; ``is_due`` says whether packets may be sent."""

    def replied(self, word: str, rest: str) -> Iterable[str]:
        """The reply to a learner's command."""
        return ()

    def end(self) -> None:
        """Once, when the shell has gone."""

    # -- the loop -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until the shell has gone."""
        for number in (signal.SIGINT, signal.SIGTTOU, signal.SIGTSTP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        self._safely(self.begin)
        while os.getppid() == self._shell:
            ready, _, _ = select.select([self.channel.requests[0]], [], [], _POLL)
            if ready:
                self._typed += self.channel.read()
                *lines, self._typed = self._typed.split(b"\n")
                for line in lines:
                    self._take(line.decode(errors="replace"))
            self._safely(self.look)
            self._print()
        self.end()

    def _safely(self, action: Callable[[], None]) -> None:
        """A lab that is down, or half made by the learner, is said once and looked at again."""
        try:
            action()
            self._blind = False
        except (NetlabError, OSError, ValueError) as error:
            self.lines += [] if self._blind else [f"the lab cannot be looked at: {error}"]
            self._blind = True

    def _take(self, line: str) -> None:
        """A line of the shell: it is at its prompt, or a learner's command."""
        word, _, rest = line.partition(" ")
        if word == POKE:
            self.soon()
            return
        if word == FINISH:
            self._safely(self.look)
            self.channel.reply("\n".join(self.lines))
            self.lines = []
            return
        try:
            reply = list(self.replied(word, rest.strip()))
        except (NetlabError, OSError, ValueError) as error:
            reply = [f"netlab: {error}"]
        self.channel.reply("\n".join(reply))

    def soon(self) -> None:
        """Something may have changed: look with packets now, and a few times more."""
        self._due = [time.monotonic() + later for later in _AGAIN]

    def is_due(self, state: Callable[[], int]) -> bool:
        """Whether packets may be sent now; ``state``: a number that changes with the lab."""
        before, self._state = self._state, state()
        now = time.monotonic()
        due = [at for at in self._due if at <= now]
        self._due = [at for at in self._due if at > now]
        return before != self._state or bool(due) or self._terminal < 0

    def _print(self) -> None:
        """Print what is to be said, while the shell waits at its prompt."""
        if not self.lines or not (self._terminal < 0 or self._is_at_prompt()):
            return
        lines = [part for line in self.lines for part in line.split("\n")]
        self.lines = []
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


def shell(lab: str, netns: Iterable[str], script: str, channel: Channel, make: Callable[[int, int], Beside]) -> int:
    """Become the lab's shell, with a process beside it; ``make`` makes it of the shell's process id and the terminal."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    sys.stdout.flush()
    mine = os.getpid()
    if os.fork() == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            make(mine, 1 if interactive else -1).run()
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.environ[out.QUIZ] = "1"
    return labshell.become(lab, sorted(netns), (), script)
