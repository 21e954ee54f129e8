"""The process of a class's wall: ``python -m netlab.api.wall NAME SETTINGS LISTENER``, which ``netlab serve --class`` becomes.

SETTINGS is the number of a file with the names of the page, its certificate and its address, as JSON.  The pages of
students that the instructor opened end with the wall.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from functools import partial

from aiohttp import web

from netlab.api import connections, spdy
from netlab.errors import BadInput
from netlab.learn import classroom
from netlab.runtime.client.certificate import page_context
from netlab.serve.guard import Guard
from netlab.serve.wall import Wall

_BODY = 4096  # bytes of a request
_PATIENCE = 60.0  # seconds for a student's server to start


class Pages:
    """The commands that hold the students' pages open, one for each."""

    def __init__(self, room: classroom.Room) -> None:
        self._room = room
        self._open: dict[str, asyncio.subprocess.Process] = {}

    async def opened(self, student: str) -> tuple[str, str]:
        """Open a page, in the place of one that is there; its address, and what is wrong."""
        await self._close(student)
        words, options = classroom.command(self._room, student, ("serve", self._room.lab_of(student)))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, **options
        )
        self._open[student] = process
        assert process.stdout is not None
        assert process.stderr is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            line = await asyncio.wait_for(process.stdout.readline(), _PATIENCE)
        if line.startswith(b"http"):
            return line.decode().strip(), ""
        said = b""
        with contextlib.suppress(TimeoutError):
            said = await asyncio.wait_for(process.stderr.read(2000), 1)
        await self._close(student)
        return "", said.decode(errors="replace").strip() or "the page did not open"

    async def _close(self, student: str) -> None:
        process = self._open.pop(student, None)
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()

    async def end(self) -> None:
        """Close all."""
        for student in list(self._open):
            await self._close(student)


async def serve(name: str, settings: dict[str, str | list[str]], listener: socket.socket) -> None:
    """Print the wall's address, and serve it until it is cancelled."""
    spdy.install()
    connections.many_descriptors()
    room = classroom.room_of(name)
    pem, port = str(settings["tls"]), listener.getsockname()[1]
    context = page_context(pem) if pem else None
    guard = Guard(port, tuple(settings["hosts"]), secure=context is not None)
    pages = Pages(room)
    wall = Wall(partial(classroom.status, name), pages.opened)
    app = web.Application(middlewares=[guard.check], client_max_size=_BODY)
    wall.routes(app)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    accepting = asyncio.create_task(connections.accept(listener, context, runner.server))
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: the students' pages end too
        loop.add_signal_handler(number, task.cancel)
    sys.stdout.write(f"{'https' if pem else 'http'}://{settings['shown']}:{port}/?token={guard.token}\n")
    sys.stdout.flush()
    try:
        await wall.follow()
    except BadInput:
        sys.stderr.write(f"class {name} is over\n")
    finally:
        accepting.cancel()
        await pages.end()
        await runner.cleanup()


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[2]), encoding="utf-8") as _settings:
        _settings.seek(0)
        _read = json.load(_settings)
    with (
        socket.socket(fileno=int(sys.argv[3])) as _listener,
        contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError),
    ):
        asyncio.run(serve(sys.argv[1], _read, _listener))
