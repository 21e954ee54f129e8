"""exec probes: a command in the container's view; its exit status is the result.

``launch`` starts the command like a container's own: in the Pod's sandbox, with a mount namespace of its own as a mark.
So its descendants end with the attempt, or at its timeout.  A few commands run at a time; waiting in the queue does not
count towards the timeout.
"""

from __future__ import annotations

import os
import shlex
import signal
from collections import deque
from typing import Any

from netlab.runtime.agent.containers import launch
from netlab.runtime.agent.containers.sandbox import Sandboxes
from netlab.runtime.agent.containers.streams import Streams
from netlab.runtime.agent.loop import Timer
from netlab.runtime.agent.probing.attempts import BODY_MAX, FAILURE, SUCCESS, UNKNOWN, Done
from netlab.runtime.client.sandbox import NOT_FOUND

RUNNING_MAX = 8  # commands at a time
_PIPE_MAX = 1 << 16


class ExecAttempt:
    """A run of a command."""

    def __init__(self, execs: Execs, target: dict[str, Any], argv: list[str], timeout: float, done: Done) -> None:
        self.execs, self.target, self.argv, self.timeout, self._done = execs, target, argv, timeout, done
        self.ended = False
        self.pid, self.space, self.pipe = 0, -1, -1
        self.report: launch.Report | None = None
        self.timer: Timer | None = None
        self.output = b""

    def stop(self) -> None:
        """Cancel without a result."""
        self.ended = True
        if self.pid:
            self._kill()
        elif self in self.execs.waiting:
            self.execs.waiting.remove(self)

    def end(self, result: str, message: str) -> None:
        if not self.ended:
            self.ended = True
            self._done(result, message)

    def begin(self) -> None:
        """Start the exec probe once a slot is free."""

        def ready(reply: dict[str, Any], fds: list[int]) -> None:
            if self.ended or "error" in reply:
                self.end(UNKNOWN, str(reply.get("error", "")))
                self.execs.over(self)
            else:
                self._launch(fds[0])

        try:
            self.execs.sandboxes.get(self.target["sandbox"], self.target["hostname"], ready)
        except OSError as refusal:
            self.end(UNKNOWN, str(refusal))
            self.execs.over(self)

    def _launch(self, sandbox: int) -> None:
        self.pipe, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            home = self.execs.sandboxes.pid_namespace
            os.set_blocking(write, True)
            target = self.target
            self.pid, channel = launch.launch(
                sandbox, home, Streams(write, ""), argv=self.argv, env=target["env"], workdir=target["workdir"]
            )
        except OSError as refusal:
            os.close(self.pipe)
            self.end(UNKNOWN, str(refusal))
            self.execs.over(self)
            return
        finally:
            os.close(write)
        self.execs.by_pid[self.pid] = self
        self.report = launch.Report(channel)
        loop = self.execs.sandboxes.loop
        loop.add(channel.fileno(), lambda _mask: self._reported())
        loop.add(self.pipe, lambda _mask: self._read())
        self.timer = loop.later(self.timeout, self.late)

    def _reported(self) -> None:
        if self.report is not None:
            self.report.read()
            if self.report.over:
                self._heard()

    def _heard(self) -> None:
        """The program runs, or could not be executed."""
        report, self.report = self.report, None
        if report is None:
            return
        self.execs.sandboxes.loop.remove(report.channel.fileno())
        report.channel.close()
        self.space = report.space
        if report.status:
            name = self.argv[0] if self.argv else ""
            reason = "executable file not found in $PATH" if report.status == NOT_FOUND else report.message
            reason = f'exec: "{name}": {reason}'
            self.end(UNKNOWN, f"failed to exec in container: unable to start container process: {reason}")

    def _read(self) -> None:
        """Keep the first bytes of the output; read the rest too, or the command would block."""
        try:
            data = os.read(self.pipe, _PIPE_MAX)
        except BlockingIOError:
            return
        self.output += data[: max(0, BODY_MAX - len(self.output))]
        if not data:
            self.execs.sandboxes.loop.remove(self.pipe)

    def late(self) -> None:
        words = shlex.join(self.argv) if len(self.argv) < 2 else " ".join(self.argv)
        self.end(FAILURE, f'command timed out: "{words}" timed out after {self.timeout:g}s')
        self._kill()

    def _kill(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)  # a child that was not waited for: its number is its own
        except ProcessLookupError:
            pass

    def exited(self, status: int) -> None:
        """The command has ended; its descendants are killed."""
        if self.report is not None:
            self.report.read()
            self._heard()
        loop = self.execs.sandboxes.loop
        if self.timer is not None:
            self.timer.cancel()
        if self.pipe in loop.handlers:
            self._read()
            loop.remove(self.pipe)
        os.close(self.pipe)
        if self.space >= 0:
            launch.kill_all(self.space)
            os.close(self.space)
        code = os.waitstatus_to_exitcode(status)
        self.end(SUCCESS if code == 0 else FAILURE, self.output.decode(errors="replace"))
        self.execs.over(self)


class Execs:
    """All commands of probes."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self.sandboxes = sandboxes
        self.by_pid: dict[int, ExecAttempt] = {}
        self.waiting: deque[ExecAttempt] = deque()
        self.running: set[ExecAttempt] = set()

    def start(self, target: dict[str, Any], argv: list[str], timeout: float, done: Done) -> ExecAttempt:
        """``target``: sandbox (a key), hostname, env, workdir."""
        attempt = ExecAttempt(self, target, argv, timeout, done)
        self.waiting.append(attempt)
        self._turn()
        return attempt

    def over(self, attempt: ExecAttempt) -> None:
        self.running.discard(attempt)
        self._turn()

    def _turn(self) -> None:
        while self.waiting and len(self.running) < RUNNING_MAX:
            attempt = self.waiting.popleft()
            self.running.add(attempt)
            attempt.begin()

    def exited(self, pid: int, status: int) -> bool:
        """Whether that child was a probe's command."""
        attempt = self.by_pid.pop(pid, None)
        if attempt is not None:
            attempt.exited(status)
        return attempt is not None
