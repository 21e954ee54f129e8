"""A terminal of the page, as a browser speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.kit.served import SECONDS, Served


@asynccontextmanager
async def terminal(page: Served, place: str, **headers: str) -> AsyncIterator[ClientWebSocketResponse]:
    given = {"Cookie": page.cookie, "Origin": page.origin, **headers}
    async with ClientSession() as session:
        path = f"{page.origin}/page/v1/terminal"
        sent = {name: value for name, value in given.items() if value}
        async with session.ws_connect(path, params={"place": place}, headers=sent, ssl=page.tls or True) as socket:
            yield socket


async def until(socket: ClientWebSocketResponse, text: str) -> str:
    """What the terminal shows up to a text."""
    shown = ""
    while text not in shown:
        try:
            message = await asyncio.wait_for(socket.receive(), SECONDS)
        except TimeoutError:
            raise AssertionError(shown) from None
        assert message.type is WSMsgType.BINARY, (message, shown)
        shown += message.data.decode()
    return shown
