"""The exercise of a page ends with the page, also when its process still speaks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from netlab.serve import exercise
from netlab.serve.exercise import Exercise
from netlab.serve.shared import Output


class Process:
    """A process that says how it stands after it was asked to end."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def write(self, data: bytes) -> None:
        await self.output(1, b'{"goes_on": true}\n')

    def close(self) -> None:
        pass

    def kill(self) -> None:
        self.done.set_result(None)

    def resize(self, width: int, height: int) -> None:
        raise AssertionError("it has no terminal")


class Page:
    """A page with one exercise; ``sent`` are its events."""

    lab = "x"

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.processes: list[Process] = []
        self.exercise = Exercise(self, self.start)  # type: ignore[arg-type]  # of a page it needs no more

    def start(self, words: tuple[str, ...], output: Output, *, tty: bool) -> Process:
        self.processes.append(Process(output))
        return self.processes[-1]

    def send(self, kind: str, data: dict[str, Any]) -> None:
        self.sent.append(data)

    async def say(self) -> None:
        app = web.Application()
        self.exercise.routes(app)
        request = make_mocked_request("POST", "/page/v1/exercise", app=app)
        request._read_bytes = json.dumps({"do": "look"}).encode()
        await self.exercise._do(request)


def test_a_new_browser_is_not_shown_the_exercise_of_a_page_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exercise, "_PATIENCE", 0.01)

    async def play() -> None:
        page = Page()
        await page.say()
        ending = asyncio.create_task(page.exercise.end())
        await asyncio.sleep(0)
        await page.processes[0].output(1, b'{"goes_on": true}\n')
        await ending
        assert page.sent == [{"goes_on": True}], "only the answer before the end is sent"
        await page.say()
        await page.processes[0].output(1, b'{"goes_on": tr')
        assert page.sent == [{"goes_on": True}] * 2, "the next page has a process of its own"

    asyncio.run(play())
