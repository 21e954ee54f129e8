"""The way from ``netlab serve`` to the lab's server: a Unix socket in the lab's run state, its owner's alone.

A command hands over a listening socket, which it made in its own network namespace, and keeps the connection open; the
page on that socket ends with the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from netlab.runtime.client.pageserver import MESSAGE, SOCKET
from netlab.serve.guard import Guard
from netlab.serve.page import Page
from netlab.serve.shared import Run, Start

_BODY = 65536  # bytes of a request


#: Accepts the connections of a listener until it is cancelled, with bounds for strangers.
Accept = Callable[[socket.socket, ssl.SSLContext | None, Callable[[], RequestHandler]], Coroutine[Any, Any, None]]
#: The context of a certificate and its key.
Secure = Callable[[str], ssl.SSLContext]


class Control:
    """The pages of a lab's server."""

    def __init__(self, lab: str, folder: Path, run: Run, start: Start, accept: Accept, secure: Secure) -> None:
        self._lab, self._run, self._start_verb, self._accept_clients = lab, run, start, accept
        self._secure = secure
        self._path = folder / SOCKET
        self._page: Page | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pages: set[asyncio.Task[None]] = set()
        self._follower: asyncio.Task[None] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    def begin(self) -> None:
        """Listen for commands."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
        finally:
            os.umask(before)
        self._socket.listen(16)
        self._start(self._accept())

    def changed(self) -> None:
        """The lab's run state has changed."""
        if self._page is not None:
            self._page.changed()

    async def end(self) -> None:
        """The lab is down, or the server ends."""
        if self._page is not None:
            await self._page.end()
            await asyncio.sleep(0.05)  # for the last event
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        tasks = [*self._tasks, *([self._follower] if self._follower else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._socket)
            self._start(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        """A command: it hands a listener over, or asks for the end of all pages."""
        loop = asyncio.get_running_loop()
        with connection:
            connection.setblocking(True)
            # In a thread: the event loop has no call that takes descriptors.
            data, descriptors, *_ = await asyncio.to_thread(socket.recv_fds, connection, MESSAGE, 1)
            connection.setblocking(False)
            if not descriptors:
                if data:
                    await self._stop()
                    await loop.sock_sendall(connection, b"{}\n")
                return
            with socket.socket(fileno=descriptors[0]) as listener:
                said = json.loads(data)
                await self._open(connection, listener, tuple(said["hosts"]), said["tls"])

    async def _open(self, connection: socket.socket, listener: socket.socket, hosts: tuple[str, ...], tls: str) -> None:
        listener.setblocking(False)
        context = self._secure(tls) if tls else None
        guard = Guard(listener.getsockname()[1], hosts, secure=context is not None)
        app = web.Application(middlewares=[guard.check], client_max_size=_BODY)
        self._shared().routes(app)
        current = asyncio.current_task()
        assert current is not None
        self._pages.add(current)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        assert runner.server is not None
        accepting = asyncio.create_task(self._accept_clients(listener, context, runner.server))
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, json.dumps({"token": guard.token}).encode() + b"\n")
            await loop.sock_recv(connection, 1)  # the command ends
        except OSError:
            pass
        finally:
            self._pages.discard(current)
            accepting.cancel()
            ending = [runner.cleanup()]
            if not self._pages and self._page is not None:
                ending.append(self._page.leave())  # at once: a page that is opened now starts anew
            await asyncio.gather(*ending)

    def _shared(self) -> Page:
        if self._page is None or self._follower is None or self._follower.done():
            self._page = Page(self._lab, self._run, self._start_verb)
            self._follower = asyncio.create_task(self._page.follow())
        return self._page

    async def _stop(self) -> None:
        pages = list(self._pages)
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
