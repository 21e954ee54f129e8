"""Stand for the child that does a command's work: signals, stops and the exit status pass as if there were no parent.

The child stays in the caller's process group and has its terminal, so the terminal's signals reach it as they are.  Only
a signal that a process sends is passed on.  A stop of the child stops this process, so that the caller's shell sees it.
"""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from typing import NoReturn

_NOT_WAITED_FOR = frozenset((signal.SIGKILL, signal.SIGSTOP))
_OF_TERMINAL = 0x80  # SI_KERNEL: the whole process group has that signal


def stand_for(child: int) -> NoReturn:
    """Wait for the child and end as it ends.  All signals must be blocked."""
    terminal = _terminal()
    _close_standard_descriptors()
    signals = signal.valid_signals() - _NOT_WAITED_FOR
    while True:
        seen = signal.sigwaitinfo(signals)
        if seen.si_signo != signal.SIGCHLD:
            if seen.si_code != _OF_TERMINAL:
                with suppress(ProcessLookupError):
                    os.kill(child, seen.si_signo)
            continue
        _follow(child, terminal)


def _follow(child: int, terminal: int) -> None:
    """Do as the child did."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)
            continue
        _take_back(terminal)
        if os.WIFSIGNALED(status):
            _die_of(os.WTERMSIG(status))
        os._exit(os.WEXITSTATUS(status))


def _terminal() -> int:
    """A descriptor of the controlling terminal; -1 where there is none."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1


def _take_back(terminal: int) -> None:
    """Be the terminal's foreground again where a process group has it that has ended.

    A shell in the PID namespace cannot give it back: its caller's process group has no number there.
    """
    with suppress(OSError):
        foreground = os.tcgetpgrp(terminal)
        try:
            os.killpg(foreground, 0)
        except ProcessLookupError:
            os.tcsetpgrp(terminal, os.getpgrp())  # SIGTTOU is blocked


def _die_of(number: int) -> NoReturn:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core is the child's
    if number not in _NOT_WAITED_FOR:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os._exit(128 + number)


def _close_standard_descriptors() -> None:
    """Whoever reads the command's output sees its end when the child closes it."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
