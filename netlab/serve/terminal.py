"""Terminals on Pods, nodes and hosts outside: ``netlab exec -it`` on a terminal of its own, over a websocket.

What the browser types are binary messages; a text message is the size of its screen.  The terminal hangs up when the
websocket is closed, and the websocket is closed when the command has ended, with the page and with the lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib.resources import files

from aiohttp import WSCloseCode, WSMsgType, web

from netlab.serve.shared import Shared, Start, known, places

#: Why a page may have no terminals; the front end shows it.
OFF = "Terminals are off: this netlab came without xterm.js, which a wheel carries and ./bootstrap.sh --page fetches."

_MOST = 12  # terminals of a lab
_BYTES = 65536  # of a message
_BEAT = 20.0  # seconds between two signs of life
_FAREWELL = 0.5  # seconds for a browser to say goodbye: the lab goes down without it
_STUCK = 10.0  # seconds that a command may leave its input unread
_SIZES = range(2, 501)  # rows and columns
_FILE = "xterm.mjs"


class Terminals:
    """All terminals of a lab's page."""

    def __init__(self, page: Shared, start: Start) -> None:
        self._page, self._start = page, start
        self._open: set[web.WebSocketResponse] = set()

    def routes(self, app: web.Application) -> None:
        """Add the paths."""
        app.router.add_get("/page/v1/terminals", self._state)
        app.router.add_get("/page/v1/terminal", self._terminal)

    async def end(self) -> None:
        """Hang up."""
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in list(self._open)))

    async def _state(self, _: web.Request) -> web.Response:
        is_there = files("netlab.serve").joinpath("foreign", _FILE).is_file()
        return web.json_response({"off": "" if is_there else OFF})

    async def _terminal(self, request: web.Request) -> web.StreamResponse:
        place = known(request.query.get("place"), places(await self._page.graph()), "place")
        if len(self._open) >= _MOST:
            raise web.HTTPServiceUnavailable(text=f"{_MOST} terminals are open; close another first\n")
        socket = web.WebSocketResponse(max_msg_size=_BYTES, heartbeat=_BEAT, timeout=_FAREWELL)
        self._open.add(socket)
        try:
            await socket.prepare(request)
            await self._serve(socket, place)
        finally:
            self._open.discard(socket)
        return socket

    async def _serve(self, socket: web.WebSocketResponse, place: str) -> None:
        async def show(_: int, data: bytes) -> None:
            await socket.send_bytes(data)  # waits for a slow browser, and so does the command

        prompt = f"PS1={place.rpartition('/')[2]}:\\w# "
        shell = ("env", "TERM=xterm-256color", prompt, "bash", "--norc")
        running = self._start(("exec", "--lab", self._page.lab, "-it", place, "--", *shell), show, tty=True)
        ending = asyncio.ensure_future(_close(running.done, socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await asyncio.wait_for(running.write(message.data), _STUCK)
                elif message.type is WSMsgType.TEXT:
                    rows, columns = _size(message.data)
                    running.resize(columns, rows)
        except (TimeoutError, ValueError):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            running.kill()
            running.close()
            ending.cancel()


async def _close(done: asyncio.Future[object], socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError, OSError):
        await done
    await socket.close()


def _size(text: str) -> tuple[int, int]:
    """Rows and columns.  Raises ValueError."""
    data = json.loads(text)
    if isinstance(data, list) and len(data) == 2 and all(type(each) is int and each in _SIZES for each in data):
        return data[0], data[1]
    raise ValueError(text)
