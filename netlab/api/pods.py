"""exec, attach and logs of Pods, over websocket (kubectl since 1.31, and all libraries) and SPDY (older ones)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

from netlab.api import spdy
from netlab.api.attach import Attachment
from netlab.api.lab import RunningLab
from netlab.api.process import STDOUT, Output, Process
from netlab.api.resources import Key
from netlab.api.select import is_true
from netlab.api.spawn import Order, Spawner
from netlab.api.status import Refused, bad
from netlab.errors import StateError
from netlab.model.cluster import Pod
from netlab.plan.environment import environment
from netlab.plan.processes import spec_of
from netlab.runtime.client import agentclient
from netlab.runtime.client.agentclient import Attached
from netlab.runtime.client.containers import LOGS

#: remotecommand's subprotocols, by the client's preference; base64 is for browsers.
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io")
_LOOKS = 500  # at whether the agent has seen that a container's process ended
_STDIN, _ERROR, _RESIZE, _CLOSE = 0, 3, 4, 255  # channels of remotecommand
Command = Process | Attachment
Start = Callable[[Output], Command]


class Pods:
    """The subresources of Pods that run commands."""

    def __init__(self, lab: RunningLab, spawner: Spawner) -> None:
        self.lab, self.spawner = lab, spawner

    def _pod(self, key: Key) -> Pod:
        pod = self.lab.pod(key.namespace, key.name)
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{key.name}" not found')
        return pod

    # -- exec and attach ----------------------------------------------------------------------------------------------

    async def exec(self, request: web.Request, key: Key) -> web.StreamResponse:
        """Run a command."""
        pod, query = self._pod(key), request.query
        argv = query.getall("command", [])
        if not argv:
            raise bad("you must specify at least one command for the container")
        container = _container(pod, query.get("container", ""))
        spec = spec_of(pod, container)
        runs = any(each.name == container and each.runs for each in pod.containers)
        order = Order(
            *(self.lab.name, str(self.lab.path), f"/run/netns/{pod.netns}", pod.hostname),
            env=dict(environment(spec, pod, self.lab.cluster)),
            etc=pod.etc,
            argv=tuple(argv),
            workdir=str(spec.get("workingDir") or "/") if runs else "/",
            tty=is_true(query.get("tty")),
            stdin=is_true(query.get("stdin")),
        )
        return await self._run(request, order)

    async def attach(self, request: web.Request, key: Key) -> web.StreamResponse:
        """The output of a container, from its start on and as it comes, and its input where its spec says ``stdin``."""
        pod, query = self._pod(key), request.query
        container = _container(pod, query.get("container", ""))
        stdin, folder = is_true(query.get("stdin")), self.lab.path
        where = f"/run/netns/{pod.netns}", pod.namespace, pod.name

        def ask(*, stdin: bool) -> Attached | None:
            with agentclient.connect(folder, self.lab.name) as agent:
                return agent.attach(where, container, stdin=stdin)

        try:
            attached = await asyncio.to_thread(ask, stdin=stdin)
        except StateError:
            attached = None
        if attached is None:  # it has ended, or netlab's responder serves it
            ended = any(each.name == container and each.runs for each in pod.containers)
            words = [*_log_words(self.lab.name, key, query), *(("--tail", "0") if ended else ("-f",))]
            return await self._run(request, Order(self.lab.name, verb=tuple(words)))

        def settle() -> None:
            for _ in range(_LOOKS):
                try:
                    now = ask(stdin=False)
                except StateError:
                    return
                if now is None:
                    return
                os.close(now.process)
                if now.pid != attached.pid:
                    return
                time.sleep(0.02)

        def start(output: Output) -> Attachment:
            return Attachment(attached, folder / LOGS / attached.log, output, settle)

        return await self._stream(request, start, stdin=stdin, tty=attached.tty)

    async def _run(self, request: web.Request, order: Order) -> web.StreamResponse:
        def start(output: Output) -> Process:
            return Process(self.spawner, order, output)

        return await self._stream(request, start, stdin=order.stdin, tty=order.tty)

    async def _stream(self, request: web.Request, start: Start, *, stdin: bool, tty: bool) -> web.StreamResponse:
        upgrade = request.headers.get("Upgrade", "").lower()
        if upgrade == "websocket":
            return await self._websocket(request, start)
        if upgrade.startswith("spdy"):
            return await self._spdy(request, start, stdin=stdin, tty=tty)
        raise bad("Upgrade request required: websocket or SPDY/3.1")

    async def _websocket(self, request: web.Request, start: Start) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=_PROTOCOLS, max_msg_size=0)
        await socket.prepare(request)
        protocol = socket.ws_protocol or ""

        async def send(channel: int, data: bytes) -> None:
            if protocol.startswith("base64"):
                await socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
            else:
                await socket.send_bytes(bytes([channel]) + data)

        process = start(send)
        feeding = asyncio.create_task(_feed(socket, process, text=protocol.startswith("base64")))
        try:
            await process.done
            if not socket.closed:
                await send(_ERROR, _end(process.status or 0, plain=protocol not in _PROTOCOLS[:2]))
        except (ConnectionError, RuntimeError):  # the client went
            process.kill()
        finally:
            feeding.cancel()
            process.close()
        await socket.close()
        return socket

    async def _spdy(self, request: web.Request, start: Start, *, stdin: bool, tty: bool) -> web.StreamResponse:
        wanted = {"error", "stdout"} | ({"stdin"} if stdin else set())
        if not tty and is_true(request.query.get("stderr")):
            wanted.add("stderr")
        streams: dict[str, spdy.Stream] = {}
        ready, resizable = asyncio.Event(), asyncio.Event()

        def opened(stream: spdy.Stream) -> None:
            streams[stream.headers.get("streamtype", "")] = stream
            if "resize" in streams:
                resizable.set()
            if wanted <= streams.keys():
                ready.set()

        connection = spdy.take_over(request, "v4.channel.k8s.io", opened)
        async with asyncio.timeout(30):
            await ready.wait()

        async def send(channel: int, data: bytes) -> None:
            stream = streams.get("stdout" if channel == STDOUT else "stderr")
            if stream is not None:
                await stream.send(data)

        process = start(send)

        async def feed() -> None:
            while data := await streams["stdin"].read():
                await process.write(data)
            process.end_of_input()

        async def sizes() -> None:
            await resizable.wait()
            while data := await streams["resize"].read():
                _resize(process, data)

        async def gone() -> None:
            await connection.closed.wait()
            process.kill()

        tasks = [asyncio.create_task(gone())]
        tasks += [asyncio.create_task(feed())] if stdin else []
        tasks += [asyncio.create_task(sizes())] if tty else []
        try:
            await process.done
            await streams["error"].send(_end(process.status or 0, plain=False))
            for stream in streams.values():
                stream.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await connection.closed.wait()
        finally:
            for task in tasks:
                task.cancel()
            process.kill()
            process.close()
            connection.close()
        return web.Response(status=101)

    # -- logs ---------------------------------------------------------------------------------------------------------

    async def log(self, request: web.Request, key: Key) -> web.StreamResponse:
        """The output of a container as text."""
        self._pod(key)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        errors: list[bytes] = []

        async def send(channel: int, data: bytes) -> None:
            if channel != STDOUT:
                errors.append(data)
                return
            if not response.prepared:
                response.enable_chunked_encoding()
                await response.prepare(request)
            await response.write(data)

        words = _log_words(self.lab.name, key, request.query)
        if is_true(request.query.get("follow")):
            words.append("-f")
        process = Process(self.spawner, Order(self.lab.name, verb=tuple(words)), send)
        try:
            await process.done
        finally:
            process.kill()
            process.close()
        if process.status and not response.prepared:
            message = b"".join(errors).decode(errors="replace").strip()
            if is_true(request.query.get("previous")):
                name = request.query.get("container") or _container(self._pod(key), "")
                raise bad(f'previous terminated container "{name}" in pod "{key.name}" not found')
            if "it runs no command" in message or "has not run yet" in message:  # it runs and has written nothing
                return web.Response(text="", content_type="text/plain")
            raise bad(message.removeprefix("netlab: "))
        if not response.prepared:
            await response.prepare(request)
        return response


async def _feed(socket: web.WebSocketResponse, process: Command, *, text: bool) -> None:
    async for message in socket:
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY) or not message.data:
            continue
        if text:
            channel, data = int(message.data[0]), base64.b64decode(message.data[1:])
        else:  # Python's client sends its text as text
            raw = message.data.encode() if message.type == WSMsgType.TEXT else message.data
            channel, data = raw[0], raw[1:]
        if channel == _STDIN:
            await process.write(data)
        elif channel == _RESIZE:
            _resize(process, data)
        elif channel == _CLOSE and data[:1] == bytes([_STDIN]):
            process.end_of_input()
    process.kill()


def _resize(process: Command, data: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        for line in data.splitlines():
            size = json.loads(line)
            process.resize(int(size["Width"]), int(size["Height"]))


def _end(status: int, *, plain: bool) -> bytes:
    """The last message: how the command ended."""
    if plain:
        return f"command terminated with exit code {status}".encode() if status else b""
    if not status:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    message = f"command terminated with non-zero exit code: exit status {status}"
    causes = [{"reason": "ExitCode", "message": str(status)}]
    failed: Any = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message}
    return json.dumps({**failed, "details": {"causes": causes}}).encode()


def _container(pod: Pod, wanted: str) -> str:
    names = [container.name for container in pod.containers]
    if wanted and wanted not in names:
        raise bad(f"container {wanted} is not valid for pod {pod.name}")
    return wanted or pod.annotations.get("kubectl.kubernetes.io/default-container", names[0])


def _log_words(lab: str, key: Key, query: Any) -> list[str]:
    """The words of ``netlab logs`` for a request."""
    words = ["logs", "--lab", lab, "-n", key.namespace, key.name]
    options = (("container", "-c", ""), ("tailLines", "--tail", ""), ("sinceSeconds", "--since", "s"))
    for name, option, unit in (*options, ("sinceTime", "--since-time", "")):
        if query.get(name):
            words += [option, f"{query[name]}{unit}"]
    flags = (("previous", "-p"), ("timestamps", "--timestamps"))
    return words + [option for name, option in flags if is_true(query.get(name))]
