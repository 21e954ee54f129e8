"""Terminals on the page, as a browser speaks to them: who gets one, what is typed and shown, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from netlab.serve.terminal import _MOST, OFF
from tests.conftest import run_netlab
from tests.kit.pageterminal import terminal, until
from tests.kit.served import Served

pytestmark = pytest.mark.kernel
SECONDS = 60  # for a busy machine


@pytest.fixture
def page(lab: str) -> Iterator[Served]:
    served = Served(lab)
    served.visit()
    yield served
    served.process.terminate()
    served.process.wait(SECONDS)


async def ended(socket: ClientWebSocketResponse) -> None:
    while (await asyncio.wait_for(socket.receive(), SECONDS)).type is WSMsgType.BINARY:
        pass


def _commands(word: str) -> list[str]:
    """The processes of this machine that have a word in their command line."""
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(each.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in lines if word in line and "pytest" not in line]


async def gone(word: str) -> None:
    await eventually(lambda: not _commands(word))


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.05)


def test_a_command_typed_on_a_pod_and_on_a_node_runs_there_on_a_terminal(page: Served) -> None:
    async def run() -> None:
        async with terminal(page, "default/client") as socket:
            await socket.send_str(json.dumps([30, 90]))
            await until(socket, "client:/# ")
            await socket.send_bytes(
                b"stty size; ip -4 -br addr show eth0; wget -qO- 10.244.2.2 | tr -d '\\n'; echo; echo en''d\n"
            )
            shown = await until(socket, "end\r\n")
            assert "30 90\r\n" in shown
            assert "10.244.1.2/24" in shown
            assert '"pod": "server"' in shown
            await socket.send_str(json.dumps([12, 40]))
            await socket.send_bytes(b"stty size; echo en''d\n")
            assert "12 40\r\n" in await until(socket, "end\r\n")
            await socket.send_bytes(b"exit\n")
            await ended(socket)
        async with terminal(page, "node-2") as socket:
            await until(socket, "node-2:/# ")
            await socket.send_bytes(b"ip -br link show type vxlan\n")
            await until(socket, "vxlan0")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("place", "headers", "status"),
    [
        ("default/client", {"Origin": ""}, 403),
        ("default/client", {"Origin": "http://evil.example"}, 403),
        ("default/client", {"Origin": "null"}, 403),
        ("default/client", {"Cookie": ""}, 401),
        ("default/client", {"Host": "evil.example"}, 421),
        ("default/client", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("default/nobody", {}, 400),
        ("--lab", {}, 400),
        ("svc/default/server", {}, 400),
        ("", {}, 400),
    ],
)
def test_a_terminal_is_refused(page: Served, place: str, headers: dict[str, str], status: int) -> None:
    async def run() -> int:
        with pytest.raises(WSServerHandshakeError) as refused:
            async with terminal(page, place, **headers):
                pass
        return refused.value.status

    assert asyncio.run(run()) == status


def test_a_netlab_without_xterm_says_why_there_are_no_terminals(page: Served) -> None:
    status, text, _ = page.request("GET", "/page/v1/terminals", Cookie=page.cookie)
    is_there = page.request("GET", "/xterm.mjs", Cookie=page.cookie)[0] == 200
    assert (status, json.loads(text)["off"]) == (200, "" if is_there else OFF)


def test_what_runs_hangs_up_with_its_terminal(page: Served) -> None:
    async def run() -> None:
        async with terminal(page, "default/client") as socket:
            await until(socket, "# ")
            await socket.send_bytes(b"sleep 4321 & sleep 4322\n")
            await eventually(lambda: bool(_commands("sleep 4321") and _commands("sleep 4322")))
        await gone("sleep 432")

    asyncio.run(run())


@pytest.mark.parametrize("text", ["[]", "[1, 1]", "[24, 100000]", "{", '{"rows": 1}', "[true, true]", "[24.5, 80]"])
def test_a_size_that_is_none_ends_the_terminal(page: Served, text: str) -> None:
    async def run() -> None:
        async with terminal(page, "default/client") as socket:
            await socket.send_str(text)
            await ended(socket)

    asyncio.run(run())


def test_terminals_are_bounded_and_what_a_browser_does_not_read_waits(page: Served) -> None:
    async def run() -> None:
        async with AsyncExitStack() as sockets:
            opened = [await sockets.enter_async_context(terminal(page, "default/server")) for _ in range(_MOST)]
            with pytest.raises(WSServerHandshakeError) as refused:
                async with terminal(page, "default/server"):
                    pass
            assert refused.value.status == 503
            await until(opened[0], "# ")
            await opened[0].send_bytes(b"yes\n")  # without end, and nobody reads it
            await until(opened[1], "# ")
            await opened[1].send_bytes(b"echo al''ive\n")
            await until(opened[1], "alive")

    asyncio.run(run())


def test_a_page_that_ends_hangs_up(lab: str) -> None:
    served = Served(lab)
    served.visit()

    async def run() -> None:
        async with terminal(served, "default/client") as socket:
            await until(socket, "# ")
            await socket.send_bytes(b"sleep 4333\n")
            await eventually(lambda: bool(_commands("sleep 4333")))
            served.process.terminate()
            await ended(socket)
        await gone("sleep 4333")

    asyncio.run(run())
    served.process.wait(SECONDS)


def test_a_terminal_ends_with_the_lab(kit: Any) -> None:
    name = f"termdown{os.getpid()}"
    kit.up(kit.spec(name, dataplane="vxlan"))
    served = Served(name)
    served.visit()

    async def run() -> None:
        async with terminal(served, "default/client") as socket:
            await until(socket, "# ")
            await socket.send_bytes(b"trap '' HUP; sleep 4344\n")
            await asyncio.to_thread(run_netlab, "down", name)
            await ended(socket)
        await gone("sleep 4344")

    asyncio.run(run())
    served.process.wait(SECONDS)
    assert kit.remains(name) == []
