"""The server's name and the client's address in the responder's line (JSON), mostly without parsing it.

The line of one responder differs from client to client only after ``"client": "``.  So the first is parsed, and its
beginning is what the others are compared with; whatever differs is parsed again.
"""

from __future__ import annotations

import json
import socket

from netlab.tuples import NamedTuple

_CLIENT = b'"client": "'
READ_MAX = 65536


class Target:
    """A probed address, port and protocol.  ``flying`` counts the attempts under way."""

    __slots__ = ("address", "family", "flying", "head", "server", "sockaddr", "v6")

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.sockaddr = (address, port)
        self.v6 = ":" in address
        self.family = socket.AF_INET6 if self.v6 else socket.AF_INET
        self.flying = 0
        self.head = b""
        self.server: str | None = None


class Reply(NamedTuple):
    """The server's name and the client's address that it saw; both None if it was not a responder."""

    server: str | None
    client: str | None


STRANGER = Reply(None, None)


def read(target: Target, data: bytes) -> Reply | None:
    """The content of the bytes received so far; None if more must come."""
    at = 0 if data[:1] == b"{" else data.find(b"\r\n\r\n") + 4
    head = target.head
    if head and data.startswith(head, at) and data.endswith(b"}\n"):
        start = at + len(head)
        return Reply(target.server, data[start : data.index(b'"', start)].decode("ascii", "replace"))
    return _parse(target, data, at)


def _parse(target: Target, data: bytes, at: int) -> Reply | None:
    if len(data) >= READ_MAX:
        return STRANGER
    if at == 3:  # no empty line yet: the head of an HTTP reply, or another protocol's greeting
        return None if b"HTTP/".startswith(data[:5]) or data.startswith(b"HTTP/") else STRANGER
    body = data[at:]
    if at and len(body) < _content_length(data[:at]):
        return None
    try:
        document = json.loads(body)
        server = name_of(document)
        client = str(document["client"])
    except (ValueError, KeyError, TypeError):
        # a line that is cut off may go on; what ends and is still no responder's is a stranger's
        return None if not at and b"\n" not in body else STRANGER
    index = body.find(_CLIENT)
    target.head, target.server = (body[: index + len(_CLIENT)], server) if index > 0 else (b"", None)
    return Reply(server, client)


def name_of(document: dict[str, object]) -> str:
    """The name in a responder's line: ``namespace/pod``, or that of the node or external host that it stands for."""
    pod = document["pod"]
    if pod is None:
        return str(document["node"])
    return f"{document['namespace']}/{pod}" if document.get("namespace") else str(pod)


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    if at < 0:
        return 0
    word = head[at + 15 : head.find(b"\r", at)].strip()
    return int(word) if word.isdigit() else 0
