"""A listener's reply: the JSON line with its identity, or kube-proxy's on a Service's healthCheckNodePort."""

from __future__ import annotations

import json
from collections.abc import Mapping

from netlab.tuples import NamedTuple

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
)


class Identity(NamedTuple):
    """One port of one Pod, node or external host; ``kind`` is pod, external or health."""

    kind: str
    pod: str | None
    namespace: str | None
    node: str | None
    port: int
    protocol: str
    container: str | None


class Face:
    """A port's reply, without addresses: the local address is known only at run time."""

    __slots__ = ("_made", "identity", "port")
    greets = True  # a client that is silent gets the line

    def __init__(self, identity: Identity) -> None:
        self.identity, self.port = identity, identity.port
        self._made: dict[str, bytes] = {}

    def before_client(self, address: str) -> bytes:
        """The line up to the client's address, cached by local address (a namespace has few)."""
        made = self._made.get(address)
        if made is None:
            if len(self._made) > 64:
                self._made.clear()
            me = self.identity
            values = {
                "pod": me.pod,
                "namespace": me.namespace,
                "node": me.node,
                "address": address,
                "port": me.port,
                "protocol": me.protocol,
                "container": me.container,
                "kind": me.kind,
            }
            made = (json.dumps(values)[:-1] + ', "client": "').encode()
            self._made[address] = made
        return made

    def line(self, address: str, client: str, client_port: int, echo: bytes | None = None) -> bytes:
        """One line of JSON with its newline.  Clients' addresses hold no character that JSON escapes."""
        tail = b""
        if echo is not None:
            tail = b', "echo": ' + json.dumps(echo[:64].decode("utf-8", "replace")).encode()
        return b'%b%b", "client_port": %d%b}\n' % (self.before_client(address), client.encode(), client_port, tail)

    def http(self, address: str, client: str, client_port: int) -> tuple[bytes, bytes]:
        """The head and the body of the reply to an HTTP request."""
        body = self.line(address, client, client_port)
        return _OK % len(body), body


class HealthFace(Face):
    """kube-proxy's reply on the healthCheckNodePort of a Service: 200 where its node has ready endpoints, else 503.

    kube-proxy has a server for each family, which counts the endpoints of its own.
    """

    __slots__ = ("counts",)
    greets = False

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity)
        self.counts: Mapping[str, int] = {}

    def line(self, address: str, client: str, client_port: int, echo: bytes | None = None) -> bytes:
        """The reply to a client that speaks no HTTP."""
        return _BAD_REQUEST

    def http(self, address: str, client: str, client_port: int) -> tuple[bytes, bytes]:
        count = self.counts.get("IPv6" if ":" in address else "IPv4", 0)
        service = f'{{\n\t"service": {{\n\t\t"namespace": "{self.identity.namespace}",\n\t\t"name": "{self.identity.pod}"\n\t}}'
        body = f'{service},\n\t"localEndpoints": {count},\n\t"serviceProxyHealthy": true\n}}'
        head = (
            f"HTTP/1.1 {'200 OK' if count else '503 Service Unavailable'}\r\nContent-Type: application/json\r\n"
            f"X-Content-Type-Options: nosniff\r\nX-Load-Balancing-Endpoint-Weight: {count}\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode(), body.encode()


def plain(address: str) -> str:
    """An address in its usual form: IPv4 without the ``::ffff:`` prefix of dual-stack sockets."""
    return address.removeprefix("::ffff:")
