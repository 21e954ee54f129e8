"""A client attached to a container: the output of its run from the start on, and its input where it has one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from netlab.api.process import STDOUT, Input, Output
from netlab.runtime.client.agentclient import Attached

_PAUSE = 0.02  # seconds between two looks at the log
_CHUNK = 65536
_KEPT = 10 << 20  # bytes of a log that the agent keeps; before them there may be a hole


class Attachment(Input):
    """``done`` ends when the container's process has ended and all its output was taken, or the client has gone.

    ``settle`` waits until the agent has written all output of the process.
    """

    def __init__(self, attached: Attached, log: Path, output: Output, settle: Callable[[], object]) -> None:
        super().__init__(attached.input, tty=attached.tty)
        self.status = 0
        self._process, self._output, self._settle, self._gone = attached.process, output, settle, False
        self._log = os.open(log, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._over = asyncio.Event()
        if attached.tty and attached.input >= 0:
            os.set_blocking(attached.input, False)
        self.done: asyncio.Future[None] = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process, self._over.set)
        try:
            os.lseek(self._log, max(0, os.fstat(self._log).st_size - _KEPT), os.SEEK_SET)
            while not self._over.is_set():
                await self._copy()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), _PAUSE)
            if not self._gone:
                await asyncio.to_thread(self._settle)
                await self._copy()
        finally:
            loop.remove_reader(self._process)
            os.close(self._process)
            os.close(self._log)

    async def _copy(self) -> None:
        while data := os.read(self._log, _CHUNK):
            await self._output(STDOUT, data)

    def kill(self) -> None:
        """The client has gone; the container runs on."""
        self._gone = True
        self._over.set()
