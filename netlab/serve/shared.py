"""What the parts of a lab's page share: the lab, the verbs that they run, and the events that they send."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from aiohttp import web

from netlab.output.graph import Graph
from netlab.tuples import NamedTuple


class Ended(NamedTuple):
    """A verb that has ended."""

    status: int
    stdout: bytes
    stderr: bytes


Run = Callable[..., Awaitable[Ended]]
Output = Callable[[int, bytes], Awaitable[None]]


class Running(Protocol):
    """A verb that runs."""

    done: asyncio.Future[Any]

    async def write(self, data: bytes) -> None:
        """Give it input."""
        ...

    def resize(self, width: int, height: int) -> None:
        """Its terminal has another size."""
        ...

    def kill(self) -> None:
        """Hang up."""
        ...

    def close(self) -> None:
        """Give no more input."""
        ...


class Start(Protocol):
    """Starts a verb of netlab, by its words."""

    def __call__(self, words: tuple[str, ...], output: Output, *, tty: bool) -> Running:
        """``tty``: on a terminal of its own."""
        ...


class Shared(Protocol):
    """A page, as its parts see it.  ``probing`` is held while packets are sent: their tables are no drift."""

    lab: str
    run: Run
    probing: asyncio.Lock

    async def graph(self) -> Graph:
        """The lab's document, when it was read."""
        ...

    def send(self, kind: str, data: Any) -> None:
        """Send an event to all browsers; a new browser gets the last of each kind."""
        ...


class Part(Protocol):
    """A part of the page, with paths of its own."""

    def routes(self, app: web.Application) -> None:
        """Add the part's paths."""
        ...

    async def end(self) -> None:
        """The lab is down, or the server ends: leave nothing that runs."""
        ...


def names(graph: Graph) -> set[str]:
    """The names between which a packet can be sent."""
    return {*places(graph), *(f"svc/{service.namespace}/{service.name}" for service in graph.services)}


def places(graph: Graph) -> set[str]:
    """The names of all that has a network of its own: Pods, nodes, hosts outside."""
    pods = {f"{pod.namespace}/{pod.name}" for pod in graph.pods}
    return pods | {node.name for node in graph.nodes} | {host.name for host in graph.externals}


async def body(request: web.Request) -> dict[str, str]:
    """The JSON object of a request: strings by name."""
    data: Any = None
    with contextlib.suppress(ValueError):
        data = json.loads(await request.text())
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise web.HTTPBadRequest(text="the body is a JSON object with strings\n")
    return data


def known(value: str | None, values: Iterable[str], name: str) -> str:
    """A value that the lab has; any other is refused."""
    if value is None or value not in values:
        raise web.HTTPBadRequest(text=f"{name} is not a name of this lab\n")
    return value


def message(ended: Ended) -> str:
    """What a verb that failed says."""
    return ended.stderr.decode(errors="replace").strip() or f"netlab ended with status {ended.status}"


def failed(ended: Ended) -> web.Response:
    """The message of a verb that failed."""
    return web.json_response({"error": message(ended)}, status=409)
