"""The server's listeners in nodes' namespaces, for the daemons there: the same port, so that one kubeconfig is right."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Callable, Collection

from aiohttp.web_protocol import RequestHandler

from netlab.api import connections
from netlab.kernel.host import netns as ns
from netlab.tuples import NamedTuple


class _Open(NamedTuple):
    socket: socket.socket
    task: asyncio.Task[None]


class OnNodes:
    """Listens at 127.0.0.1 of the nodes that have a daemon; a socket keeps its namespace alive, so it goes with its node."""

    def __init__(self, port: int, context: ssl.SSLContext | None, made: Callable[[], RequestHandler]) -> None:
        self._port, self._context, self._made = port, context, made
        self._open: dict[str, _Open] = {}
        self._refused: set[str] = set()

    async def follow(self, netns: Collection[str]) -> None:
        """Listen in these namespaces, and in no other."""
        for gone in self._open.keys() - set(netns):
            opened = self._open.pop(gone)
            opened.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opened.task
            opened.socket.close()
        for name in netns:
            if name in self._open:
                continue
            try:
                sock = await asyncio.to_thread(ns.call, name, self._listen)
            except OSError as error:  # the node is not there yet, or its port is taken: with the next change
                if name not in self._refused:
                    sys.stderr.write(f"netlab: no API in {name}: {error}\n")
                self._refused.add(name)
                continue
            task = asyncio.create_task(connections.accept(sock, self._context, self._made))
            self._open[name] = _Open(sock, task)

    def _listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", self._port))
