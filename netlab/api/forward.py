"""port-forward: connections to a port of a Pod's loopback, over SPDY, SPDY in a websocket, or a websocket's channels."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from netlab.api import spdy
from netlab.api.lab import RunningLab
from netlab.api.resources import Key
from netlab.api.status import Refused, bad
from netlab.runtime.agent import linux

_SPDY = "SPDY/3.1+portforward.k8s.io"  # kubectl since 1.31
_CHANNELS = ("v4.channel.k8s.io", "portforward.k8s.io")  # Python's and Node's libraries
_SECONDS = 5.0  # for a connection inside the Pod
_CHUNK = 65536
_PORTS = 65535
Read = Callable[[], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[object]]


class Forward:
    """The subresource portforward."""

    def __init__(self, lab: RunningLab) -> None:
        self.lab = lab

    async def portforward(self, request: web.Request, key: Key) -> web.StreamResponse:
        """Forward until the client goes."""
        pod = self.lab.pod(key.namespace, key.name)
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{key.name}" not found')
        netns = f"/run/netns/{pod.netns}"
        upgrade = request.headers.get("Upgrade", "").lower()
        if upgrade.startswith("spdy"):
            pairs = _Pairs(netns)
            connection = spdy.take_over(request, "portforward.k8s.io", pairs.opened)
            await connection.closed.wait()
            pairs.end()
            return web.Response(status=101)
        if upgrade != "websocket":
            raise bad("Upgrade request required: websocket or SPDY/3.1")
        websocket = web.WebSocketResponse(protocols=(_SPDY, *_CHANNELS), max_msg_size=0)
        await websocket.prepare(request)
        if websocket.ws_protocol == _SPDY:
            await _tunnel(websocket, _Pairs(netns))
        else:
            await _channels(websocket, netns, request.query.getall("ports", []))
        return websocket


class _Pairs:
    """The streams of a SPDY connection: two for each forwarded connection, of data and of errors."""

    def __init__(self, netns: str) -> None:
        self._netns = netns
        self._streams: dict[str, dict[str, spdy.Stream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def opened(self, stream: spdy.Stream) -> None:
        """A new stream; with its second the connection begins."""
        pair = self._streams.setdefault(stream.headers.get("requestid", ""), {})
        pair[stream.headers.get("streamtype", "")] = stream
        if {"data", "error"} <= pair.keys():
            task = asyncio.get_running_loop().create_task(self._join(pair["data"], pair["error"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _join(self, data: spdy.Stream, error: spdy.Stream) -> None:
        try:
            await join(self._netns, _port(data.headers.get("port", "")), data.read, data.send)
        except (OSError, Refused) as failure:
            await error.send(f"error forwarding port {data.headers.get('port')}: {failure}".encode())
        finally:
            data.close()
            error.close()

    def end(self) -> None:
        """The client has gone."""
        for task in self._tasks:
            task.cancel()


async def _tunnel(websocket: web.WebSocketResponse, pairs: _Pairs) -> None:
    """SPDY frames in the messages of a websocket."""
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    connection = spdy.Connection(frames.put_nowait, pairs.opened)

    async def send() -> None:
        while True:
            await websocket.send_bytes(await frames.get())

    sending = asyncio.create_task(send())
    try:
        async for message in websocket:
            if message.type == WSMsgType.BINARY:
                connection.feed(message.data)
    finally:
        connection.end()
        pairs.end()
        sending.cancel()


async def _channels(websocket: web.WebSocketResponse, netns: str, words: list[str]) -> None:
    """Two channels for each port, of data and of errors; each begins with the port's number."""
    ports = [_port(word) for text in words for word in text.split(",")]
    queues: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in ports]

    async def forward(index: int, port: int) -> None:
        channel = 2 * index
        try:
            await join(netns, port, queues[index].get, lambda data: websocket.send_bytes(bytes([channel]) + data))
        except OSError as failure:
            text = f"error forwarding port {port}: {failure}"
            await websocket.send_bytes(bytes([channel + 1]) + text.encode())
        if len(ports) == 1:
            await websocket.close()

    for channel in range(2 * len(ports)):
        await websocket.send_bytes(bytes([channel]) + struct.pack("<H", ports[channel // 2]))
    tasks = [asyncio.create_task(forward(index, port)) for index, port in enumerate(ports)]
    try:
        async for message in websocket:
            if message.type == WSMsgType.BINARY and message.data:
                index, error = divmod(message.data[0], 2)
                if not error and index < len(queues):
                    queues[index].put_nowait(message.data[1:])
    finally:
        for task in tasks:
            task.cancel()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _PORTS:
        raise bad(f"{text!r} is no port")
    return int(text)


async def join(netns: str, port: int, read: Read, write: Write) -> None:
    """Carry bytes between a client and a port of the Pod, until the Pod ends the connection.  Raises OSError."""
    reader, writer = await asyncio.open_connection(sock=await asyncio.to_thread(_dial, netns, port))

    async def up() -> None:
        while data := await read():
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    sending = asyncio.create_task(up())
    try:
        while data := await reader.read(_CHUNK):
            await write(data)
    finally:
        sending.cancel()
        writer.close()


def _dial(netns: str, port: int) -> socket.socket:
    """A connection to the Pod's loopback.  A socket stays in the network namespace in which it was made."""
    here, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(netns, os.O_RDONLY)
    try:
        linux.setns(there, linux.CLONE_NEWNET)
        try:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            linux.setns(here, linux.CLONE_NEWNET)
    finally:
        os.close(here)
        os.close(there)
    try:
        made.settimeout(_SECONDS)
        made.connect(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made
