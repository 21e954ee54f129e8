"""Events for browsers: each gets the last of every kind when it comes, and then what is new.

A browser with a narrow screen asks for events with ``?narrow=1``: what depends on the picture's layout has two forms.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import Any

from aiohttp import web

from netlab.plain import dump
from netlab.serve.guard import HEADERS

_ALIVE = 20.0  # seconds between two signs of life of a stream
_BEHIND = 64  # events that a slow browser may miss before it is cut off
_LISTENERS = 64


class Events:
    """The streams of one page; ``first`` is the kind that a new browser needs before the others."""

    def __init__(self, first: str = "") -> None:
        self._first = first
        self._last: dict[tuple[str, bool | None], bytes] = {}
        self._listeners: dict[asyncio.Queue[bytes], bool] = {}

    def knows(self, kind: str) -> bool:
        """Whether there was an event of this kind."""
        return any(kind == known for known, _ in self._last)

    def forget(self, but: Collection[str]) -> None:
        """A new browser gets no last event, but those of some kinds."""
        self._last = {key: event for key, event in self._last.items() if key[0] in but}

    def send(self, kind: str, data: Any, *, narrow: bool | None = None) -> None:
        """Send a document of ``netlab.output.page`` to all browsers, unless it is the last of its kind again.

        ``narrow``: only to browsers with a narrow screen, or only to all others.
        """
        event = f"event: {kind}\ndata: {json.dumps(dump(data))}\n\n".encode()
        if self._last.get((kind, narrow)) == event:
            return
        self._last[kind, narrow] = event
        for queue, is_narrow in list(self._listeners.items()):
            if narrow not in (None, is_narrow):
                continue
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                del self._listeners[queue]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The path of the events."""
        if len(self._listeners) >= _LISTENERS:
            raise web.HTTPServiceUnavailable(text="too many pages are open\n")
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        queue: asyncio.Queue[bytes] = asyncio.Queue(_BEHIND)
        is_narrow = "narrow" in request.query
        for kind, narrow in sorted(self._last, key=lambda key: key[0] != self._first):
            if narrow in (None, is_narrow):
                queue.put_nowait(self._last[kind, narrow])
        self._listeners[queue] = is_narrow
        try:
            await response.prepare(request)
            while queue in self._listeners:
                try:
                    await response.write(await asyncio.wait_for(queue.get(), _ALIVE))
                except TimeoutError:
                    await response.write(b": alive\n\n")
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._listeners.pop(queue, None)
        return response
