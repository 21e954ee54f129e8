"""The wall of a class: how its students stand, live, and the address of each student's own page.

The wall knows progress alone.  A student's page is a page of its own, of that student's lab and behind its own token, in
a process of the student's user; the wall hands its address to the instructor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

from netlab.output.learn import ClassStatus
from netlab.serve.events import Events
from netlab.serve.page import static
from netlab.serve.shared import body, known

_PAUSE = 1.0  # seconds between two looks
_OWN, _SHARED = ("wall.html", "wall.js", "wall.css"), ("app.css", "dom.js")


class Wall:
    """``status`` reads the class; ``opened`` opens the page of a student, and is its address or what is wrong."""

    def __init__(self, status: Callable[[], ClassStatus], opened: Callable[[str], Awaitable[tuple[str, str]]]) -> None:
        self._status, self._opened = status, opened
        self._events = Events()
        self._students: frozenset[str] = frozenset()

    async def follow(self) -> None:
        """Send how the students stand after every change, until this task is cancelled."""
        while True:
            status = await asyncio.to_thread(self._status)
            self._students = frozenset(each.student for each in status.students)
            self._events.send("class", status)
            await asyncio.sleep(_PAUSE)

    def routes(self, app: web.Application) -> None:
        """Add the wall's paths."""
        for folder, names in (("wall", _OWN), ("static", _SHARED)):
            for name in names:
                text = files("netlab.serve").joinpath(folder, name).read_text(encoding="utf-8")
                app.router.add_get("/" if name == "wall.html" else f"/{name}", static(name, text))
        app.router.add_get("/page/v1/events", self._events.stream)
        app.router.add_post("/page/v1/student", self._open)

    async def _open(self, request: web.Request) -> web.Response:
        student = known((await body(request)).get("student"), self._students, "student")
        address, wrong = await self._opened(student)
        return web.json_response({"error": wrong} if wrong else {"address": address}, status=409 if wrong else 200)
