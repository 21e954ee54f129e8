"""Faults on the page: make one, by name or by chance, and mend them: ``netlab break`` and ``netlab heal``."""

from __future__ import annotations

import json

from aiohttp import web

from netlab.serve.shared import Shared, body, failed

_LEVELS = ("1", "2", "3")


class Faults:
    """The faults of a lab's page.  Those that are open come with the event of what differs."""

    def __init__(self, page: Shared) -> None:
        self._page = page

    def routes(self, app: web.Application) -> None:
        """Add the paths."""
        app.router.add_get("/page/v1/faults", self._list)
        app.router.add_post("/page/v1/break", self._break)
        app.router.add_post("/page/v1/heal", self._heal)

    async def end(self) -> None:
        """Nothing of it runs on."""

    async def _list(self, _: web.Request) -> web.Response:
        return await self._verb("break", "--list", "--lab", self._page.lab)

    async def _break(self, request: web.Request) -> web.Response:
        asked = await body(request)
        words = ["--secret"] if asked.get("secret") else []
        if level := asked.get("level"):
            if level not in _LEVELS:
                raise web.HTTPBadRequest(text="level is 1, 2 or 3\n")
            words += ["--level", level]
        fault = asked.get("fault", "")
        words += ["--", fault] if fault else ["--random"]
        return await self._verb("break", "--lab", self._page.lab, *words)

    async def _heal(self, request: web.Request) -> web.Response:
        await body(request)
        return await self._verb("heal", "--lab", self._page.lab)

    async def _verb(self, *words: str) -> web.Response:
        verb, *rest = words
        ended = await self._page.run(verb, "-o", "json", *rest)
        if ended.status:
            return failed(ended)
        return web.json_response({"done": json.loads(ended.stdout)})
