"""A command that a client has started: its descriptors as streams of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Awaitable, Callable

from netlab.api.spawn import Order, Spawner

STDOUT, STDERR = 1, 2
Output = Callable[[int, bytes], Awaitable[None]]
_CHUNK = 65536
_KILLED = 137  # 128 + SIGKILL: the child died before it could say how


class Input:
    """What a client writes to: a pipe, or a terminal."""

    def __init__(self, stdin: int, *, tty: bool) -> None:
        self._stdin, self._tty = stdin, tty

    async def write(self, data: bytes) -> None:
        """Give the command input; what it does not take is lost, as with a closed pipe."""
        loop = asyncio.get_running_loop()
        while data and self._stdin >= 0:
            try:
                if self._tty:
                    written = os.write(self._stdin, data[:_CHUNK])
                else:
                    written = await loop.run_in_executor(None, os.write, self._stdin, data[:_CHUNK])
            except BlockingIOError:
                await asyncio.sleep(0.005)
                continue
            except OSError:
                return
            data = data[written:]

    def end_of_input(self) -> None:
        """The client sends no more."""
        if self._tty:
            with contextlib.suppress(OSError):
                os.write(self._stdin, b"\x04")
        else:
            self.close()

    def resize(self, width: int, height: int) -> None:
        """The client's terminal has another size."""
        if self._tty and self._stdin >= 0:
            with contextlib.suppress(OSError, struct.error):
                fcntl.ioctl(self._stdin, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def close(self) -> None:
        """Close the command's input."""
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1


class Process(Input):
    """One command.  ``done`` ends when the command has ended and all its output was taken; then ``status`` counts."""

    def __init__(self, spawner: Spawner, order: Order, output: Output) -> None:
        super().__init__(-1, tty=order.tty)
        self.status: int | None = None
        self._pid = 0
        report, theirs = os.pipe()
        pumps: list[tuple[int, int]] = []
        if order.tty:
            self._stdin, peer = os.openpty()
            os.set_blocking(self._stdin, False)
            given = [peer, peer, peer, theirs]
            pumps.append((os.dup(self._stdin), STDOUT))
        else:
            source, self._stdin = os.pipe()
            out, out_end = os.pipe()
            err, err_end = os.pipe()
            given = [source, out_end, err_end, theirs]
            pumps += [(out, STDOUT), (err, STDERR)]
        try:
            spawner.start(order, given)
        finally:
            for descriptor in {*given}:
                os.close(descriptor)
        if not order.stdin and not order.tty:
            self.end_of_input()
        self.done = asyncio.gather(
            self._report(report), *(self._pump(each, channel, output) for each, channel in pumps)
        )

    async def _reader(self, descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(descriptor, "rb", 0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        return reader, transport

    async def _pump(self, descriptor: int, channel: int, output: Output) -> None:
        reader, transport = await self._reader(descriptor)
        try:
            while data := await reader.read(_CHUNK):
                await output(channel, data)
        except OSError:  # EIO: the terminal has no other end any more; or the client went
            pass
        finally:
            transport.close()

    async def _report(self, descriptor: int) -> None:
        reader, transport = await self._reader(descriptor)
        self._pid = int(await reader.readline() or 0)
        self.status = int(await reader.readline() or _KILLED)
        transport.close()

    def kill(self) -> None:
        """The client has gone: the command gets SIGHUP, as from a terminal that was closed."""
        if self.status is None and self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGHUP)
