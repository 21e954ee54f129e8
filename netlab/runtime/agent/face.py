"""A listener's identity: the JSON line, prepared except for the client."""

from __future__ import annotations

import json

from netlab.tuples import NamedTuple


class Identity(NamedTuple):
    """One port of one Pod, node or external host; ``kind`` is pod, node or external."""

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


def plain(address: str) -> str:
    """An address in its usual form: IPv4 without the ``::ffff:`` prefix of dual-stack sockets."""
    return address.removeprefix("::ffff:")
