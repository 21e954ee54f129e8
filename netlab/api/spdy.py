"""SPDY/3.1 as the Kubernetes clients before websockets speak it: the server's side, without flow control.

kubectl up to 1.30 and typed Go clients use it for exec, every kubectl for port-forward (there inside a websocket).
Sources: the SPDY/3.1 draft for the frames, github.com/moby/spdystream for what its peer leaves out.
"""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from collections.abc import Callable
from functools import cache

from aiohttp import web, web_protocol, web_server

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7  # types of control frames
_CONTROL = 0x8003  # the control bit, and version 3
_FIN = 1
_CHUNK = 32768
_FULL = 1 << 22  # bytes that may wait for a slow client before its command must wait


@cache
def _dictionary() -> bytes:
    """The dictionary with which both sides compress headers (SPDY draft, 2.6.10.1)."""
    with open(os.path.join(os.path.dirname(__file__), "data", "spdy.dict"), "rb") as file:
        return file.read()


class Stream:
    """A stream that the client has opened, with its headers."""

    def __init__(self, connection: Connection, number: int, headers: dict[str, str]) -> None:
        self.headers = headers
        self._connection, self._number, self._open = connection, number, True
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self) -> bytes:
        """What came next; empty at the end."""
        return await self.received.get()

    async def send(self, data: bytes) -> None:
        """Send data, and wait where the client is slow."""
        for at in range(0, len(data), _CHUNK):
            part = data[at : at + _CHUNK]
            self._connection.send(struct.pack(">II", self._number, len(part)) + part)
        await self._connection.drained()

    def close(self) -> None:
        """Nothing more comes from here."""
        if self._open:
            self._open = False
            self._connection.send(struct.pack(">II", self._number, _FIN << 24))


class Connection:
    """The frames of a connection.  ``send`` writes bytes; ``feed`` takes those that come."""

    def __init__(self, send: Callable[[bytes], object], opened: Callable[[Stream], object]) -> None:
        self.send, self._opened = send, opened
        self.closed = asyncio.Event()
        self.waiting: Callable[[], int] = lambda: 0  # bytes that are not sent yet
        self.close: Callable[[], object] = lambda: None
        self._buffer = b""
        self._streams: dict[int, Stream] = {}
        self._inflate = zlib.decompressobj(zdict=_dictionary())
        self._deflate = zlib.compressobj(9, zdict=_dictionary())

    async def drained(self) -> None:
        """Wait until a slow client has taken most of what was sent."""
        while self.waiting() > _FULL and not self.closed.is_set():  # noqa: ASYNC110 - nobody tells of a transport's end
            await asyncio.sleep(0.01)

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack(">II", self._buffer[:8])
            length, flags = second & 0xFFFFFF, second >> 24
            if len(self._buffer) < 8 + length:
                return
            body, self._buffer = self._buffer[8 : 8 + length], self._buffer[8 + length :]
            try:
                if first >> 31:
                    self._control(first & 0xFFFF, flags, body)
                else:
                    self._data(first, flags, body)
            except (struct.error, zlib.error, UnicodeDecodeError):  # not SPDY: the connection is of no use
                self.end()
                self.close()
                return

    def _data(self, number: int, flags: int, body: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        if body:
            stream.received.put_nowait(body)
        if flags & _FIN:
            stream.received.put_nowait(b"")

    def _control(self, kind: int, flags: int, body: bytes) -> None:
        if kind == _SYN_STREAM:
            number = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF
            stream = self._streams[number] = Stream(self, number, self._headers(body[10:]))
            block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            self.send(struct.pack(">HHII", _CONTROL, _SYN_REPLY, len(block) + 4, number) + block)
            if flags & _FIN:
                stream.received.put_nowait(b"")
            self._opened(stream)
        elif kind == _RST_STREAM:
            gone = self._streams.pop(struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF, None)
            if gone is not None:
                gone.received.put_nowait(b"")
        elif kind == _PING:
            self.send(struct.pack(">HHI", _CONTROL, _PING, 4) + body)
        elif kind == _GOAWAY:
            self.end()

    def _headers(self, block: bytes) -> dict[str, str]:
        data = self._inflate.decompress(block)
        (count,) = struct.unpack(">I", data[:4])
        at, texts = 4, []
        for _ in range(2 * count):
            (size,) = struct.unpack(">I", data[at : at + 4])
            texts.append(data[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}

    def end(self) -> None:
        """The client has gone."""
        self.closed.set()
        for stream in self._streams.values():
            stream.received.put_nowait(b"")


class Handler(web_protocol.RequestHandler):
    """aiohttp's own, which lets a connection be taken over after its request: aiohttp itself knows websockets alone."""

    __slots__ = ("known", "taken")

    def __init__(self, *arguments: object, **options: object) -> None:
        self.taken: Connection | None = None
        self.known = asyncio.Event()  # the client has shown who it is
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        if self.taken is not None:
            self.taken.feed(data)
        else:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.taken is not None:
            self.taken.end()
        super().connection_lost(exc)


def install() -> None:
    """Make aiohttp use ``Handler``.  It has no public way: hence the bound on its version in pyproject.toml."""
    web_server.RequestHandler = Handler  # type: ignore[attr-defined]


def take_over(request: web.Request, protocol: str, opened: Callable[[Stream], object]) -> Connection:
    """Answer 101 and speak SPDY from here on."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError

    def send(data: bytes) -> None:
        if not transport.is_closing():
            transport.write(data)

    connection = Connection(send, opened)
    connection.waiting = lambda: 0 if transport.is_closing() else transport.get_write_buffer_size()
    connection.close = transport.close
    handler = request.protocol
    assert isinstance(handler, Handler)
    handler.taken = connection
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: {protocol}\r\n\r\n"
    )
    transport.write(head.encode())
    return connection
