"""Captures on the page: ``netlab capture`` in a process that ends with its request, its packets as lines, and its file.

A capture is one request: its response goes on while packets come, one JSON object a line.  The packets are in a pcapng
file too, which the browser downloads when the capture has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path

from aiohttp import web

from netlab.evidence.records import IN, OTHERHOST
from netlab.serve.guard import HEADERS
from netlab.serve.shared import Running, Shared, Start, body, known, places

_UNDERLAY = "underlay"
_MOST = 2000  # packets of a capture
_OPEN = 4  # captures at a time
_KEPT = 8  # files of captures that have ended
_LONGEST = 500  # characters of a filter
_ALIVE = 20.0  # seconds between two signs of life
_PATIENCE = 1.0  # seconds for its end
_STDOUT = 1
_BEGUN = "capturing at "
_PACKET = b'{"time"'


class Captures:
    """The captures of a lab's page."""

    def __init__(self, page: Shared, start: Start) -> None:
        self._page, self._start = page, start
        self._open: dict[str, Running] = {}
        self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def routes(self, app: web.Application) -> None:
        """Add the paths."""
        app.router.add_post("/page/v1/capture", self._capture)
        app.router.add_post("/page/v1/capture/stop", self._stop)
        app.router.add_get("/page/v1/capture/file", self._file)

    async def end(self) -> None:
        """End all captures, and remove their files."""
        running = list(self._open.values())
        for each in running:
            each.kill()
        if running:
            await asyncio.wait([each.done for each in running], timeout=_PATIENCE)
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)
            self._folder = None

    def _path(self, name: str) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="netlab-page-", ignore_cleanup_errors=True)
        return Path(self._folder.name) / f"{name}.pcapng"

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        """Capture until the browser stops it, closes the connection, or has seen enough."""
        asked = await body(request)
        words = ["capture", "--lab", self._page.lab, "-o", "json", "-v", "--print", f"--count={_MOST}"]
        graph = await self._page.graph()
        if at := asked.get("at"):
            words.append(f"--at={known(at, {*places(graph), _UNDERLAY}, 'at')}")
        if expression := asked.get("filter", "").strip():
            if len(expression) > _LONGEST:
                raise web.HTTPBadRequest(text="the filter is too long\n")
            words.append(f"--filter={expression}")
        if len(self._open) >= _OPEN:
            raise web.HTTPServiceUnavailable(text=f"{_OPEN} captures are running; stop another first\n")
        self._count += 1
        name = str(self._count)
        words.append(f"--write={self._path(name)}")
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "application/x-ndjson"})
        lines = _Lines(response, name, {(each.netns, each.dev) for each in graph.devices if each.master})
        running = self._start(tuple(words), lines.take, tty=False)
        self._open[name] = running
        try:
            await response.prepare(request)
            await self._follow(running, lines)
        finally:
            running.kill()
            running.close()
            self._open.pop(name, None)
            self._tidy()
        return response

    async def _follow(self, running: Running, lines: _Lines) -> None:
        """Send signs of life while it runs, so that a browser that has gone is noticed; then how it ended."""
        with contextlib.suppress(ConnectionError):
            while not running.done.done():
                await asyncio.wait([running.done], timeout=_ALIVE)
                await lines.end() if running.done.done() else await lines.alive()

    def _tidy(self) -> None:
        """Keep the files of the last captures alone."""
        old = self._count - _KEPT
        if self._folder is not None and old > 0 and str(old) not in self._open:
            self._path(str(old)).unlink(missing_ok=True)

    async def _stop(self, request: web.Request) -> web.Response:
        running = self._open.get((await body(request)).get("capture", ""))
        if running is not None:
            running.kill()
        return web.json_response({})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.query.get("capture", "")
        if not name.isascii() or not name.isdigit() or name in self._open or not self._path(name).is_file():
            raise web.HTTPNotFound(text="there is no such file; captures are kept until the page ends\n")
        shown = f'attachment; filename="{self._page.lab}-{name}.pcapng"'
        return web.FileResponse(
            self._path(name), headers={"Content-Disposition": shown, "Content-Type": "application/octet-stream"}
        )


class _Lines:
    """What the verb prints, as the page's own lines: ``begun``, ``packet``s, ``note``s, and ``end`` or ``error``."""

    def __init__(self, response: web.StreamResponse, name: str, ports: set[tuple[str, str]]) -> None:
        """``ports``: the namespaces and names of the bridges' ports, whose work are frames for others."""
        self._response, self._name, self._ports = response, name, ports
        self._rest = {_STDOUT: b""}
        self._notes: list[str] = []
        self._totals = b""

    async def take(self, channel: int, data: bytes) -> None:
        """Send the lines that are whole: each packet is one; a slow browser makes the capture wait."""
        *lines, rest = (self._rest.get(channel, b"") + data).split(b"\n")
        if channel == _STDOUT and _is_whole(rest):  # the end of its line comes with the next packet
            lines.append(rest)
            rest = b""
        self._rest[channel] = rest
        made = [each for line in lines if (each := self._line(channel, line))]
        if made and self._response.prepared:
            with contextlib.suppress(ConnectionError):
                await self._response.write(b"".join(made))

    def _line(self, channel: int, line: bytes) -> bytes:
        if channel != _STDOUT:
            return self._note(line.decode(errors="replace"))
        if line.startswith(b"], "):
            self._totals = b"{" + line[3:]
        if not line.startswith(_PACKET):
            return b""
        packet = json.loads(line.removesuffix(b","))
        del packet["data"]  # the file has it
        if packet["direction"] == OTHERHOST and (packet["netns"], packet["interface"]) in self._ports:
            packet["direction"] = IN
        return _written(packet=packet)

    def _note(self, text: str) -> bytes:
        if text.startswith(_BEGUN):
            return _written(begun=self._name, says=text.partition("; ")[0])
        self._notes.append(text.removeprefix("netlab: "))
        return b""

    async def alive(self) -> None:
        """A line that says nothing.  Raises ConnectionError where the browser has gone."""
        await self._response.write(b"\n")

    async def end(self) -> None:
        """How it ended: its totals, or what the verb said in their place."""
        if self._totals:
            ending = _written(end=json.loads(self._totals), says=self._notes, most=_MOST)
        else:
            ending = _written(error="\n".join(filter(None, self._notes)) or "the capture ended early")
        await self._response.write(ending)


def _is_whole(line: bytes) -> bool:
    if not line.startswith(_PACKET) or not line.endswith(b"}"):
        return False
    with contextlib.suppress(ValueError):
        json.loads(line)
        return True
    return False


def _written(**data: object) -> bytes:
    return json.dumps(data).encode() + b"\n"
