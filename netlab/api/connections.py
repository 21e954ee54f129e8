"""The connections of the server: accepted in its own loop, so that strangers cannot take all of them.

A stranger has shown neither the client certificate nor a token nor, on a page, its cookie.  Each may stay for a few seconds, and of too many
the oldest go: any user of the machine can reach the port, and must not keep the lab's owner out or fill the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Callable

from aiohttp.web_protocol import RequestHandler

from netlab.api.spdy import Handler

_STRANGERS = 100
_SECONDS = 30.0  # until a stranger must be known
_PAUSE = 0.1  # seconds before the next try where no descriptor is free


def many_descriptors() -> None:
    """As many open connections as the host allows."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def accept(listener: socket.socket, context: ssl.SSLContext | None, made: Callable[[], RequestHandler]) -> None:
    """Accept connections until this task is cancelled."""
    loop = asyncio.get_running_loop()
    strangers: dict[asyncio.Task[None], None] = {}  # in the order in which they came
    listener.setblocking(False)
    try:
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # no descriptor is free, or the client has gone already
                await asyncio.sleep(_PAUSE)
                continue
            task = loop.create_task(_greet(connection, context, made))
            strangers[task] = None
            task.add_done_callback(lambda done: strangers.pop(done, None))
            if len(strangers) > _STRANGERS:
                oldest = next(iter(strangers))
                del strangers[oldest]
                oldest.cancel()
            await asyncio.sleep(0)  # accept() of a waiting connection lets nobody else run
    finally:
        for task in list(strangers):
            task.cancel()


async def _greet(connection: socket.socket, context: ssl.SSLContext | None, made: Callable[[], RequestHandler]) -> None:
    """Wait until the client has shown who it is; else close the connection."""
    transport: asyncio.BaseTransport | None = None
    loop = asyncio.get_running_loop()
    handler = made()
    assert isinstance(handler, Handler)
    try:
        async with asyncio.timeout(_SECONDS):
            transport, _ = await loop.connect_accepted_socket(lambda: handler, connection, ssl=context)
            if not transport.get_extra_info("peercert"):
                await handler.known.wait()
    except (OSError, TimeoutError):
        _close(connection, transport)
    except asyncio.CancelledError:
        _close(connection, transport)
        raise


def _close(connection: socket.socket, transport: asyncio.BaseTransport | None) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()
    else:
        connection.close()
