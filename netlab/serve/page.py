"""The page of a lab: its paths under /page/v1, and the events that it sends.

Each request runs a verb of netlab in a child and draws its document, so the page says what the verb says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

from aiohttp import web

from netlab.output import page as events
from netlab.output.changes import Diff, Drift, Foreign
from netlab.output.flows import Reach
from netlab.output.graph import Graph
from netlab.output.trace import Trace
from netlab.picture.hops import ANSWER, QUESTION
from netlab.picture.layout import picture
from netlab.picture.matrix import matrix
from netlab.picture.scene import Group, Scene
from netlab.picture.svg import render, style
from netlab.picture.walk import Way, topology, way
from netlab.plain import dump, load
from netlab.serve.capture import Captures
from netlab.serve.events import Events
from netlab.serve.exercise import Exercise
from netlab.serve.faults import Faults
from netlab.serve.marks import marks
from netlab.serve.policies import Policies
from netlab.serve.shared import Part, Run, Start, body, failed, known, names
from netlab.serve.terminal import Terminals
from netlab.serve.watch import Watch

_QUIET = 0.03  # seconds without news before the kernel is looked at
_LASTING = ("picture", "drift")  # events that are true without a page
Object = TypeVar("Object", Drift, Foreign)
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "mjs": "text/javascript"}


class Page:
    """The live state of a lab's page, shared by all its listeners.  ``run`` runs a verb of netlab, ``start`` on a terminal."""

    def __init__(self, lab: str, run: Run, start: Start) -> None:
        self.lab, self.run = lab, run
        self._graph: Graph
        self._scenes: dict[bool, Scene] = {}  # by whether it is narrow
        self._events = Events("picture")
        self.probing = asyncio.Lock()
        self._news = asyncio.Event()
        self._known = asyncio.Event()  # the lab's document was read
        self._is_new = True
        self._changed: set[str] = set()  # namespaces
        self._drift: tuple[Drift, ...] = ()
        self._foreign: tuple[Foreign, ...] = ()
        self._watch = Watch(self._heard)
        self._parts: tuple[Part, ...] = (
            Terminals(self, start),
            Exercise(self, start),
            Faults(self),
            Captures(self, start),
            Policies(self),
        )

    async def graph(self) -> Graph:
        """The lab's document, when it was read."""
        await self._known.wait()
        return self._graph

    def _heard(self, netns: str) -> None:
        self._changed.add(netns)
        self._news.set()

    def changed(self) -> None:
        """The lab's run state has changed: its documents may have."""
        self._is_new = True
        self._news.set()

    async def follow(self) -> None:
        """Send an event after every change, until this task is cancelled."""
        self._news.set()
        try:
            while True:
                await self._news.wait()
                await asyncio.sleep(_QUIET)
                async with self.probing:  # the tables of a trace are no drift
                    self._news.clear()
                    await self._look()
        finally:
            self._watch.close()

    async def _look(self) -> None:
        """Look where something changed; everywhere when the lab itself did."""
        spaces, self._changed = self._changed, set()
        if self._is_new:
            spaces = set()
            if not await self._read():
                return
        words = [word for netns in sorted(spaces) for word in ("--netns", netns)]
        ended = await self.run("diff", "--lab", self.lab, "-o", "json", *words)
        if ended.status > 1:
            self._is_new = True  # half-way through a change, or on the way down: everywhere at the next news
            return
        seen = load(Diff, json.loads(ended.stdout))
        self._drift = _merged(self._drift, seen.operations, spaces)
        self._foreign = _merged(self._foreign, seen.foreign, spaces)
        for narrow, scene in self._scenes.items():
            shown = marks(self._drift, self._graph, scene)
            drift = events.Drift(marks=shown, foreign=self._foreign, faults=seen.faults)
            self._events.send("drift", drift, narrow=narrow)

    async def _read(self) -> bool:
        self._is_new = False  # before it is read: a change that comes meanwhile is read again
        ended = await self.run("graph", "--lab", self.lab, "-o", "json")
        if ended.status:
            self._is_new = True
            return False
        graph = load(Graph, json.loads(ended.stdout))
        if not self._events.knows("picture") or graph != self._graph:
            self._graph = graph
            self._draw(narrow=False)
            await asyncio.sleep(0)  # the picture of most browsers goes first
            self._draw(narrow=True)
        self._known.set()
        await self._watch.follow(graph.places)  # after the picture, and before `diff` looks everywhere
        return True

    def _draw(self, *, narrow: bool) -> None:
        scene = self._scenes[narrow] = picture(self._graph, narrow=narrow)
        self._events.send("picture", self._shown(scene), narrow=narrow)
        scene.root, scene.front = Group(), Group()  # the places of interfaces are all that is asked for again

    def _shown(self, scene: Scene) -> events.Picture:
        return events.Picture(
            lab=self.lab,
            svg=render(scene, styled=False),
            names=tuple(sorted(names(self._graph))),
            pods=tuple(sorted(f"{pod.namespace}/{pod.name}" for pod in self._graph.pods if not pod.system)),
        )

    async def end(self) -> None:
        """The lab is down, or the server ends: tell the browsers, and end what runs for them."""
        self.send("down", events.Down(lab=self.lab))
        await self.leave()

    async def leave(self) -> None:
        """No browser can come any more: end what runs for them."""
        ending = [asyncio.create_task(part.end()) for part in self._parts]
        await asyncio.sleep(0)  # from here on none of them sends what belongs to the page that ends
        self._events.forget(_LASTING)
        await asyncio.gather(*ending)

    def send(self, kind: str, data: Any) -> None:
        """Send an event to all browsers; a new browser gets the last of each kind."""
        self._events.send(kind, data)

    # -- paths

    def routes(self, app: web.Application) -> None:
        """Add the page's paths."""
        for file in _files():
            path = "/" if file.name == "index.html" else f"/{file.name}"
            app.router.add_get(path, static(file.name, file.read_text(encoding="utf-8")))
        app.router.add_get("/picture.css", static("picture.css", style()))
        app.router.add_get("/page/v1/events", self._events.stream)
        app.router.add_post("/page/v1/trace", self._trace)
        app.router.add_post("/page/v1/reach", self._reach)
        for part in self._parts:
            part.routes(app)

    async def _trace(self, request: web.Request) -> web.Response:
        asked = await body(request)
        there = names(await self.graph())
        ends = [known(asked.get(key), there, key) for key in ("from", "to")]
        async with self.probing:
            ended = await self.run("trace", "--lab", self.lab, "-o", "json", "--", *ends)
        if ended.status > 1:
            return failed(ended)
        trace = load(Trace, json.loads(ended.stdout))
        scene = topology(self._graph, trace, narrow=bool(asked.get("narrow")))
        ways = {"question": _way(way(scene, trace, QUESTION)), "answer": _way(way(scene, trace, ANSWER))}
        return web.json_response({"trace": dump(trace), "walk": ways, **dump(self._shown(scene))})

    async def _reach(self, request: web.Request) -> web.Response:
        await body(request)
        async with self.probing:
            ended = await self.run("reach", "--lab", self.lab, "-o", "json")
        if not ended.stdout:
            return failed(ended)
        reach = load(Reach, json.loads(ended.stdout))
        return web.json_response({"flows": dump(reach.flows), "svg": render(matrix(reach), styled=False)})


def _merged(before: tuple[Object, ...], seen: tuple[Object, ...], spaces: set[str]) -> tuple[Object, ...]:
    """The objects of a look at some namespaces, and of earlier looks at the others; all are new where there are none."""
    kept = tuple(each for each in before if spaces and not spaces & _spaces(each))
    return tuple(sorted(kept + seen, key=lambda each: (each.netns, each.kind, each.name)))


def _spaces(operation: Drift | Foreign) -> set[str]:
    """The namespaces of an object: a veth belongs to two."""
    return {operation.netns, *([operation.peer.netns] if operation.peer else [])}


def _files() -> Iterator[Traversable]:
    """The page's own files, and those of others where they are there."""
    for name in ("static", "foreign"):
        folder = files("netlab.serve").joinpath(name)
        if folder.is_dir():
            yield from (file for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES)


def static(name: str, text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of a file of the page."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=_TYPES[name.rpartition(".")[2]], charset="utf-8")

    return handler


def _way(walked: Way) -> dict[str, Any]:
    hops = [
        {
            "netns": hop.netns,
            "interface": hop.interface,
            "direction": hop.direction,
            "headers": dump(hop.headers),
            "changed": sorted(f"{index}.{field}" for index, field in hop.changed),
            "same": hop.is_same,
            "notes": hop.notes,
            "rules": [dump(rules) for rules in hop.rules],
            "at": at,
            "badge": number,
        }
        for hop, at, number in zip(walked.hops, walked.at, walked.numbers, strict=True)
    ]
    return {"points": walked.points, "hops": hops, "spot": walked.spot}
