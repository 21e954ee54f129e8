"""The exercise of a lab on its page: a process of ``netlab learn`` that goes on while the page does, and the lab's own page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from functools import partial
from pathlib import Path

from aiohttp import web

from netlab.runtime.state.rundir import RunDir
from netlab.serve.shared import Running, Shared, Start, body, failed, known

_WORDS = ("look", "begin", "again", "hint", "answer", "skip", "reset", "leave")
_LONGEST = 1000  # characters of an answer
_STDOUT = 1
_PATIENCE = 1.0  # seconds for its end


class Exercise:
    """The exercise of a lab's page."""

    def __init__(self, page: Shared, start: Start) -> None:
        self._page, self._start = page, start
        self._running: Running | None = None
        self._number = 0  # of the process
        self._lines = b""

    def routes(self, app: web.Application) -> None:
        """Add the paths."""
        app.router.add_post("/page/v1/exercise", self._do)
        app.router.add_post("/page/v1/handout", self._handout)

    async def end(self) -> None:
        """End the process; its captures end with it."""
        running, self._running = self._running, None
        self._number += 1  # the process may still say how it stood
        if running is not None:
            running.close()  # the end of its input: it ends by itself
            await asyncio.wait([running.done], timeout=_PATIENCE)
            running.kill()

    async def _do(self, request: web.Request) -> web.Response:
        """Say a word to the exercise; how it stands comes as an event."""
        asked = await body(request)
        word, value = known(asked.get("do"), _WORDS, "do"), asked.get("value", "")
        if len(value) > _LONGEST:
            raise web.HTTPBadRequest(text="the answer is too long\n")
        if self._running is None or self._running.done.done():
            self._lines = b""
            self._number += 1
            output = partial(self._take, self._number)
            self._running = self._start(("learn", "--lines", self._page.lab), output, tty=False)
        await self._running.write(json.dumps({"do": word, "value": value}).encode() + b"\n")
        return web.json_response({})

    async def _take(self, number: int, channel: int, data: bytes) -> None:
        if channel != _STDOUT or number != self._number:
            return
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                self._page.send("exercise", json.loads(line))

    async def _handout(self, request: web.Request) -> web.Response:
        """The page of the lab's folder as HTML, which the browser takes apart."""
        await body(request)
        applied = RunDir(self._page.lab).applied()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "page.html"
            ended = await self._page.run("page", "--html", str(file), "--", applied.source if applied else "")
            if ended.status:
                return failed(ended)
            text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        return web.json_response({"html": text.partition("<body>")[2]})  # its own style is for a page of its own
