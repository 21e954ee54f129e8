"""The process that forks commands for the tests: what its slowness and its end mean for a test."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests import forks

Server = Callable[[bytes, float], None]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that handles a single request: it waits for so many seconds, sends these bytes and closes."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setattr(forks, "_begun", (here, forks._spaces()))
    threads = []

    def begun(reply: bytes, delay: float) -> None:
        def serve() -> None:
            fds = socket.recv_fds(there, 1 << 17, 4)[1]
            time.sleep(delay)
            with socket.socket(fileno=fds.pop()) as client:
                client.send(reply)
            for fd in fds:
                os.close(fd)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()

    with here, there:
        yield begun
        for thread in threads:
            thread.join()


def test_a_server_that_still_imports_takes_nothing_from_the_time_of_a_command(server: Server) -> None:
    server((1 << 30).to_bytes(4, "little") + bytes(4), 0.2)
    done = forks.run(["ls"], input=None, cwd="/", env={}, timeout=0.05)
    assert done is not None and done.returncode == 0


def test_the_end_of_the_server_is_no_success_of_a_command(server: Server) -> None:
    server(b"", 0)
    with pytest.raises(RuntimeError, match="has ended"):
        forks.run(["ls"], input=None, cwd="/", env={}, timeout=60)
