"""What a container's process reads and writes, and the clients that attach to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from netlab.runtime.agent.loop import Loop

_LAST_READS = 64  # of a terminal whose process has ended: what it holds is less


class Streams:
    """What a process reads and writes.  ``input``: where its input comes from, a pipe or a terminal; -1: it has none.

    ``kind`` is ``objects.Process.input``.  A terminal's output is copied to the log by ``copy``.
    """

    def __init__(self, log: int, kind: str) -> None:
        self.log, self.kind, self.tty = log, kind, kind == "tty"
        self.given = self.input = -1
        if self.tty:
            self.input, self.given = os.openpty()
            os.set_blocking(self.input, False)
        elif kind:
            self.given, self.input = os.pipe()

    def started(self) -> None:
        """The process has its end."""
        if self.given >= 0:
            os.close(self.given)
            self.given = -1

    def copy(self) -> bool:
        """Copy what a terminal has; whether more may come."""
        try:
            data = os.read(self.input, 65536)
        except BlockingIOError:
            return True
        except OSError:  # EIO: nobody has the terminal any more
            return False
        os.write(self.log, data)
        return bool(data)

    def follow(self, loop: Loop) -> None:
        """Copy what a terminal has whenever there is something."""
        if self.tty:
            terminal = self.input
            loop.add(terminal, lambda _mask: None if self.copy() else loop.remove(terminal))

    def end(self, loop: Loop) -> None:
        """The process has ended: copy the rest of its terminal's output, then close it."""
        if self.tty and self.input >= 0:
            for _ in range(_LAST_READS):
                if not self.copy():
                    break
            loop.remove(self.input)
        self.close()

    def close(self) -> None:
        """End of input."""
        self.started()
        if self.input >= 0:
            os.close(self.input)
            self.input = -1


def attach(
    streams: Streams, pid: int, log: str, reply: Callable[[dict[str, Any], list[int]], None], *, stdin: bool
) -> None:
    """Reply with a descriptor of a container's process, and with its input's where it has one."""
    process = os.pidfd_open(pid)
    given = [streams.input] if stdin and streams.input >= 0 else []
    fields = {"running": True, "pid": pid, "log": log, "tty": streams.tty, "input": bool(given)}
    reply(fields, [process, *given])
    os.close(process)
    if given and streams.kind == "once":
        streams.close()
