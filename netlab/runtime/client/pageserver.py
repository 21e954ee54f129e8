"""The command's end of a lab's page: it hands a listening socket to the lab's server (``netlab.serve``)."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Sequence

from netlab.errors import BadInput, StateError
from netlab.runtime.state.rundir import RunDir

#: The name of the server's socket in the lab's run state.
SOCKET = "page.sock"
MESSAGE = 60_000  # bytes of what a command says


def connect(lab: str) -> socket.socket | None:
    """A connection to the lab's server; None where no server runs."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(RunDir(lab).path / SOCKET))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def opened(connection: socket.socket, listener: socket.socket, hosts: Sequence[str], tls: str = "") -> str:
    """Open the page on a listener; the token of its address.  The page ends when the connection is closed.

    ``tls``: a certificate and its key, as PEM; without it the page speaks HTTP.
    """
    message = json.dumps({"hosts": list(hosts), "tls": tls}).encode()
    if len(message) > MESSAGE:
        raise BadInput("the certificates have too many bytes", hint="the page's own and those that sign it are enough")
    socket.send_fds(connection, [message], [listener.fileno()])
    with connection.makefile("r", encoding="ascii") as lines:
        answer = lines.readline()
    if not answer:
        raise StateError("the lab's server did not open the page", hint="netlab logs of the server are in api.log")
    return str(json.loads(answer)["token"])


def stop(connection: socket.socket) -> None:
    """End all pages of the lab."""
    with contextlib.suppress(OSError):
        connection.sendall(b"stop\n")
        connection.recv(16)


def wait(connection: socket.socket) -> None:
    """Return when the page has ended."""
    with contextlib.suppress(OSError):
        connection.recv(1)
