"""The server of a lab: its listener, who may come in, and its end with the lab."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from aiohttp import web

from netlab.api import body, connections, discovery, openapi, reviews, spdy
from netlab.api.forward import Forward
from netlab.api.lab import RunningLab
from netlab.api.objects import Objects
from netlab.api.onnodes import OnNodes
from netlab.api.pods import Pods
from netlab.api.process import STDERR, STDOUT, Output, Process
from netlab.api.rest import Rest, answer
from netlab.api.spawn import Order, Spawner
from netlab.api.status import Refused, no_resource, not_allowed
from netlab.api.tls import Certificates, kubeconfig
from netlab.api.tokens import Tokens
from netlab.api.write import reason
from netlab.errors import BadInput, NetlabError, StateError
from netlab.kernel.host.inotify import Watch
from netlab.runtime.agent import VERSION
from netlab.runtime.client.agentclient import SOCKET
from netlab.runtime.client.apiserver import CACHE
from netlab.runtime.client.certificate import page_context
from netlab.runtime.state.rundir import RunDir
from netlab.serve.control import Control
from netlab.serve.shared import Ended

_POLL = 5.0  # seconds between two looks without a sign of a change
_GARBAGE = 50_000, 20, 20  # an object of a lab is in no cycle, and a look for garbage at 1,000 Pods takes 50 ms
_AGAIN = 0.5  # seconds before the agent is asked again, where there is none
_HOSTS = ("127.0.0.1", "localhost")
_VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0+netlab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.27",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_OLD_OPENAPI = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


TOKENS = web.AppKey("tokens", Tokens)


@web.middleware
async def guard(request: web.Request, handler: Next) -> web.StreamResponse:
    """Who may come in, and errors as ``Status`` objects."""
    try:
        host = request.headers.get("Host", "")
        # A page in a browser, by DNS rebinding or not.  Python's websockets name the server itself as their origin.
        if (
            host.rpartition(":")[0] not in _HOSTS
            or request.headers.get("Origin", f"https://{host}") != f"https://{host}"
        ):
            raise Refused(403, "Forbidden", "requests of web pages and for other hosts are refused")
        certificate = request.transport is not None and request.transport.get_extra_info("peercert")
        if not certificate and not request.app[TOKENS].good(request.headers.get("Authorization", "")):
            raise Refused(401, "Unauthorized", "Unauthorized: the lab's kubeconfig has the client certificate")
        if isinstance(request.protocol, spdy.Handler):
            request.protocol.known.set()
        reviews.itself(request.headers.get("Impersonate-User", ""))
        return await handler(request)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - one request must not end the server
        refused = _refused(request, error)
        return answer(refused.status(), refused.code)


def _refused(request: web.Request, error: Exception) -> Refused:
    """An error as its ``Status``."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, NetlabError):
        return reason(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return Refused(
            500, "InternalError", f"nothing was changed, since this host refused it: {where}{error.strerror}"
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        return not_allowed(request.method, request.path)
    if isinstance(error, web.HTTPNotFound):
        return no_resource()
    if isinstance(error, web.HTTPException):
        return Refused(error.status, "BadRequest", error.reason)
    traceback.print_exception(error)
    return Refused(500, "InternalError", f"netlab: {type(error).__name__}: {error}")


def application(rest: Rest) -> web.Application:
    """All paths."""
    app = web.Application(middlewares=[guard], client_max_size=body.SIZE)
    app[TOKENS] = rest.tokens
    add = app.router.add_get

    def found(document: dict[str, object] | None) -> web.Response:
        if document is None:
            raise no_resource()
        return answer(document)

    async def version(_: web.Request) -> web.Response:
        return answer(_VERSION)

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def root(request: web.Request) -> web.Response:
        core = request.path.rstrip("/") == "/api"
        accept = request.headers.get("Accept", "")
        for each in discovery.AGGREGATED:
            kind = f"g=apidiscovery.k8s.io;v={each};as=APIGroupDiscoveryList"
            if kind in accept:
                groups = ("",) if core else tuple(filter(None, discovery.GROUPS))
                response = answer(discovery.aggregated(groups, each))
                response.headers["Content-Type"] = f"application/json;{kind}"
                response.headers["Vary"] = "Accept"
                return response
        return answer(discovery.versions() if core else discovery.groups())

    async def group(request: web.Request) -> web.Response:
        return found(discovery.group(request.match_info["group"]))

    async def resources(request: web.Request) -> web.Response:
        match = request.match_info
        return found(discovery.resources(match.get("group", ""), match["version"]))

    async def schemas(_: web.Request) -> web.Response:
        return answer(openapi.root())

    async def schema(request: web.Request) -> web.Response:
        text = openapi.text(request.match_info["path"])
        if text is None:
            raise no_resource()
        return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "public, immutable"})

    async def old_openapi(_: web.Request) -> web.Response:
        # kubectl before 1.28 refuses to go on without an answer; an empty one is enough.
        return web.Response(body=b"", headers={"Content-Type": _OLD_OPENAPI})

    for path, handler in (("/version", version), ("/api", root), ("/apis", root)):
        add(path, handler)
        add(f"{path}/", handler)
    for path in ("/healthz", "/livez", "/readyz"):
        add(path, healthy)
    for path, handler in (
        ("/api/{version}", resources),
        ("/apis/{group}/{version}", resources),
        ("/apis/{group}", group),
    ):
        add(path, handler)
        add(f"{path}/", handler)
    add("/openapi/v3", schemas)
    add("/openapi/v3/{path:.+}", schema)
    add("/openapi/v2", old_openapi)

    async def proxy(_: web.Request) -> web.Response:
        raise Refused(501, "NotImplemented", "netlab passes no requests on to Pods, Services and nodes: kubectl port-forward reaches their ports")  # fmt: skip

    app.router.add_route("*", "/api/v1/{path:(?:.+/)?(?:pods|services|nodes)/[^/]+/proxy(?:/.*)?}", proxy)
    for base in ("/api/{version}", "/apis/{group}/{version}"):
        inside = "/namespaces/{namespace}/{plural:(?!finalize$|status$)[^/]+}"
        for tail in (f"{inside}/{{name}}/{{subresource}}", f"{inside}/{{name}}", inside,
                     "/{plural}/{name}/{subresource}", "/{plural}/{name}", "/{plural}"):  # fmt: skip
            app.router.add_route("*", base + tail, rest.handle)
    return app


async def serve(
    name: str,
    file: Path,
    spawner: Spawner,
    ready: Callable[[], object],
    listeners: list[socket.socket],
    making: Future[Certificates],
) -> None:
    """Serve a lab until it goes down.  ``ready`` is called when clients may come and ``file`` is their kubeconfig."""
    lab, objects = RunningLab(name, lambda: making.result().authority), Objects()
    pods, forward = Pods(lab, spawner), Forward(lab)
    special = {"exec": pods.exec, "attach": pods.attach, "log": pods.log, "portforward": forward.portforward}
    rest = Rest(lab, objects, special)
    await rest.begin()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    made = await asyncio.wrap_future(making)
    lab.kept.save()
    control = Control(
        name,
        lab.path,
        partial(_verb, spawner, name),
        partial(_started, spawner, name),
        connections.accept,
        page_context,
    )
    control.begin()
    # What is no HTTP at all would be logged with a traceback: any user of the machine could fill the disk.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    spdy.install()
    connections.many_descriptors()
    runner = web.AppRunner(application(rest), access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    accepting = [asyncio.create_task(connections.accept(each, made.context, runner.server)) for each in listeners]
    on_nodes = OnNodes(listeners[0].getsockname()[1], made.context, runner.server)
    await on_nodes.follow(lab.agents)
    _write(file, kubeconfig(name, listeners[0].getsockname()[1], made), RunDir(name).owner() or 0)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    ready()
    try:
        await _follow(rest, lab.path, ending, control, on_nodes)
    finally:
        await control.end()
        with contextlib.suppress(OSError):
            os.unlink(file)
        shutil.rmtree(f"{file}{CACHE}", ignore_errors=True)
        with contextlib.suppress(
            OSError
        ):  # a user's own folder of kubeconfigs goes with the last; a lab's has more in it
            os.rmdir(file.parent)
        for task in accepting:
            task.cancel()
        await on_nodes.follow(())
        objects.end()
        await asyncio.sleep(0.05)  # the watchers' last events
        await runner.cleanup()


async def _follow(rest: Rest, folder: Path, ending: asyncio.Event, control: Control, on_nodes: OnNodes) -> None:
    """Read the lab again whenever its run state changed, until it is down."""
    watch = Watch(folder)
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def see() -> None:
        watch.clear()
        changed.set()
        control.changed()

    loop.add_reader(watch.fileno(), see)
    asking = asyncio.create_task(_changes(folder, changed))
    try:
        while not ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_either(changed, ending), _POLL)
            look = rest.objects.watched and not changed.is_set()
            changed.clear()
            try:
                await rest.refresh(look=look)
                await on_nodes.follow(rest.lab.agents)
            except BadInput:
                return
            except (NetlabError, OSError):  # half-way through a change, or on the way down: look again
                if not await asyncio.to_thread(folder.is_dir):
                    return
    finally:
        asking.cancel()
        loop.remove_reader(watch.fileno())
        watch.close()


async def _verb(spawner: Spawner, name: str, *words: str) -> Ended:
    """Run a verb of netlab."""
    output = {STDOUT: bytearray(), STDERR: bytearray()}

    async def take(channel: int, data: bytes) -> None:
        output[channel] += data

    process = Process(spawner, Order(name, verb=words), take)
    try:
        await process.done
    except asyncio.CancelledError:
        process.kill()
        raise
    finally:
        process.close()
    return Ended(process.status or 0, bytes(output[STDOUT]), bytes(output[STDERR]))


def _started(spawner: Spawner, name: str, words: tuple[str, ...], output: Output, *, tty: bool) -> Process:
    """A verb of netlab that is given input."""
    return Process(spawner, Order(name, verb=words, tty=tty, stdin=True), output)


async def _changes(folder: Path, changed: asyncio.Event) -> None:
    """Wait for the agent to say that states of containers have changed, which inotify does not see."""
    seen = -1
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):
            reader, writer = await asyncio.open_unix_connection(folder / SOCKET)
            try:
                while True:
                    writer.write(json.dumps({"v": VERSION, "op": "changes", "seen": seen}).encode() + b"\n")
                    seen = int(json.loads(await reader.readline())["count"])
                    changed.set()
            finally:
                writer.close()
                changed.set()  # it has gone: no command runs any more
        await asyncio.sleep(_AGAIN)


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    tasks = [asyncio.create_task(first.wait()), asyncio.create_task(second.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _write(path: Path, text: str, owner: int) -> None:
    """The kubeconfig, its owner's alone."""
    temporary = path.with_name(f".{path.name}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as stream:
        if os.geteuid() == 0 and owner:
            os.fchown(stream.fileno(), owner, -1)
        stream.write(text)
    os.replace(temporary, path)


def main(name: str, file: Path, ready: int, spawner: Spawner, making: Future[Certificates], listener: int = -1) -> int:
    """Serve the lab; a byte is written to the descriptor ``ready`` when clients may come.

    ``listener``: the descriptor of a socket that listens; -1: one is made here.
    """

    def tell() -> None:
        os.write(ready, b"+")
        os.close(ready)

    try:
        listeners = [socket.create_server(("127.0.0.1", 0)) if listener < 0 else socket.socket(fileno=listener)]
        if listener >= 0:  # programs in the namespaces of a lab without root use the same kubeconfig
            with contextlib.suppress(OSError):
                listeners.append(socket.create_server(listeners[0].getsockname()))
        asyncio.run(serve(name, file, spawner, tell, listeners, making))
    except (NetlabError, OSError) as error:
        failure = error if isinstance(error, NetlabError) else StateError(f"{error.filename}: {error.strerror}")
        with contextlib.suppress(OSError):
            os.write(ready, f"!{failure.message}\n{failure.hint}".encode())
        with contextlib.suppress(OSError):  # the log lies on a disk that may be full
            sys.stderr.write(f"netlab: {failure.message}\n")
            sys.stderr.flush()
        return int(failure.status)
    return 0
