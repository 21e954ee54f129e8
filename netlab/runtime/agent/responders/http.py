"""The TCP responder: HTTP/1.1, or the bare line for a silent client.

The common case (accept, one read of the whole request, one write, close) makes five system calls and no lasting object;
a prober opens tens of thousands of connections a second.
"""

from __future__ import annotations

import _socket
import os
import time
from typing import TYPE_CHECKING

from netlab.runtime.agent.face import Face, plain

if TYPE_CHECKING:
    from netlab.runtime.agent.loop import Loop

SILENCE = 0.2  # seconds until a client that has sent nothing gets the bare line
SILENCE_BUSY = 1.5  # the same, while tasks wait for a CPU: the client may be one of them
PATIENCE = 10.0  # seconds for a request's head to arrive, and for each next part of its body
LINGER = 10.0  # seconds to read on after the reply: closing with unread bytes sends RST, which discards the reply
HEAD_LIMIT = 16384
REST_LIMIT = 8 << 20  # bytes that are read and discarded after the reply
OPEN_LIMIT = 4096
BATCH = 128

_DONTWAIT = _socket.MSG_DONTWAIT
_SEND = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
_STREAM = _socket.SOCK_STREAM
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

Peer = tuple[str, int]


class Body:
    """The rest of a request's body, which is discarded."""

    __slots__ = ("chunked", "left", "line", "trailer")

    def __init__(self, head: bytes) -> None:
        fields = {name.strip().lower(): value.strip() for name, _, value in _fields(head)}
        self.chunked = b"chunked" in fields.get(b"transfer-encoding", b"").lower()
        length = fields.get(b"content-length", b"")
        self.left = int(length) if length.isdigit() and not self.chunked else 0
        self.line, self.trailer = b"", False

    def __bool__(self) -> bool:
        return self.chunked or self.left > 0

    def ends(self, data: bytes) -> bool:
        """Take the next part; return whether the body is complete."""
        if not self.chunked:
            self.left -= len(data)
            return self.left <= 0
        self.line += data
        while True:
            taken = min(self.left, len(self.line))
            self.left, self.line = self.left - taken, self.line[taken:]
            line, newline, rest = self.line.partition(b"\n")
            if self.left or not newline:
                return len(self.line) > HEAD_LIMIT  # no chunk's head is that long
            self.line = rest
            if self.trailer and not line.strip():
                return True
            if not self.trailer:
                size = _hex(line.partition(b";")[0])
                self.left, self.trailer = (size + 2, False) if size else (0, True)


class Connection:
    """A connection without an immediate reply."""

    __slots__ = ("body", "budget", "buffer", "face", "fd", "owner", "peer", "responded", "since", "sock")

    def __init__(self, owner: Tcp, face: Face, fd: int, sock: _socket.socket, peer: Peer) -> None:
        self.owner, self.face, self.fd, self.sock, self.peer = owner, face, fd, sock, peer
        self.buffer = b""
        self.since = time.monotonic()
        self.responded = False
        self.body: Body | None = None  # of a request whose head is here
        self.budget = REST_LIMIT

    def ready(self, _mask: int) -> None:
        """Bytes, end of file or an error."""
        self.read()

    def read(self) -> bool:
        """Take what has arrived; False where nothing has."""
        try:
            data = self.sock.recv(65536, _DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # the client reset it: its right
            self.owner.close(self)
            return True
        if self.responded:
            self.budget -= len(data)
            if not data or self.budget <= 0:
                self.owner.close(self)
        elif self.body is not None:
            self.read_on(self.body, data)
        else:
            self.feed(data)
        return True

    def read_on(self, body: Body, data: bytes) -> None:
        """Read a part of the body.  The reply waits for the whole body, so that a lost part is no success."""
        if body.ends(data):
            self.owner.respond(self.face, self.sock, self.peer, head_only=self.buffer.startswith(b"HEAD "))
            self.linger()
        elif data:
            self.owner.renew(self)
        else:
            self.owner.close(self)

    def feed(self, data: bytes) -> None:
        if not data and not self.buffer:  # opened and closed, as a port scan does
            self.owner.close(self)
            return
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        size = 4
        if end < 0:
            end = self.buffer.find(b"\n\n")
            size = 2
        if end >= 0 and b"HTTP/" in self.buffer[: self.buffer.find(b"\n")]:
            self.begin(self.buffer[:end], self.buffer[end + size :])
        elif not data or self.buffer[:1] == b"\x16" or not _may_be_http(self.buffer):
            self.bare()
        elif len(self.buffer) > HEAD_LIMIT:
            self.send(_TOO_LARGE)
            self.linger()
        else:
            self.owner.move(self, self.owner.slow)

    def begin(self, head: bytes, rest: bytes) -> None:
        """The head is complete, and ``rest`` came with it."""
        body = Body(head)
        if body and not (rest and body.ends(rest)):
            self.body = body
            if b"100-continue" in head.lower() and not rest:
                self.send(_CONTINUE)
            self.owner.renew(self)
            return
        self.owner.respond(self.face, self.sock, self.peer, head_only=head.startswith(b"HEAD "))
        if rest:
            self.linger()
        else:
            self.owner.close(self)

    def bare(self) -> None:
        """Reply with the bare line and read on until the client closes."""
        try:
            self.send(self.face.line(_local(self.sock), plain(self.peer[0]), self.peer[1]))
        except OSError:
            self.owner.close(self)
            return
        self.linger()

    def send(self, data: bytes) -> None:
        """The first bytes of a connection: they always fit its send buffer."""
        try:
            self.sock.send(data, _SEND)
        except OSError:
            pass

    def linger(self) -> None:
        self.responded, self.buffer, self.since = True, b"", time.monotonic()
        try:
            self.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            self.owner.close(self)
            return
        self.owner.move(self, self.owner.lingering)


class Tcp:
    """All TCP listeners of the agent.  Each of the three queues is in order of age, so its head decides."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.silent: dict[int, Connection] = {}
        self.slow: dict[int, Connection] = {}
        self.lingering: dict[int, Connection] = {}
        self.served = 0
        loop.tickers.append(self.tick)

    def open(self, family: int, face: Face, *, only6: bool, bound: str = "") -> _socket.socket:
        """A listener on the port's wildcard address, or on one IPv4 address (``bound``), in the thread's namespace."""
        sock = _socket.socket(family, _STREAM | _socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            if family == _socket.AF_INET6:
                sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, int(only6))
            sock.bind((bound or ("::" if family == _socket.AF_INET6 else "0.0.0.0"), face.port))
            sock.listen(4096)  # the kernel takes the lower of this and its net.core.somaxconn
        except OSError:
            sock.close()
            raise
        return sock

    def serve(self, sock: _socket.socket, family: int, face: Face) -> None:
        accept = sock._accept  # type: ignore[attr-defined]  # (descriptor, address): half the cost of socket.accept
        make, respond, close_later = _socket.socket, self.respond, self.wait

        def ready(_mask: int) -> None:
            arrived = []
            try:
                for _ in range(BATCH):
                    arrived.append(accept())  # noqa: PERF401 - what came before the error counts
            except OSError:  # no more; or ECONNABORTED, EMFILE: the next round tries again
                pass
            # read only now: by the time that the last is accepted, the request of the first has often arrived
            for fd, peer in arrived:
                connection = make(family, _STREAM, 0, fd)
                try:
                    data = connection.recv(HEAD_LIMIT, _DONTWAIT)
                except BlockingIOError:
                    close_later(face, fd, connection, peer, None)
                    continue
                except OSError:
                    connection.close()
                    continue
                if data[:4] == b"GET " and data[-4:] == b"\r\n\r\n" and data.find(b"\r\n\r\n") == len(data) - 4:
                    respond(face, connection, peer)
                    connection.close()
                else:
                    close_later(face, fd, connection, peer, data)

        self.loop.add(sock.fileno(), ready)

    def respond(self, face: Face, sock: _socket.socket, peer: Peer, *, head_only: bool = False) -> None:
        self.served += 1
        try:
            local = _local(sock)
            head, body = face.http(local, plain(peer[0]), peer[1])
            # MSG_MORE: the close or shutdown that follows at once sends the reply and its FIN in one segment.
            sock.send(head if head_only else head + body, _SEND | _socket.MSG_MORE)
        except OSError:  # the client has gone
            pass

    def wait(self, face: Face, fd: int, sock: _socket.socket, peer: Peer, data: bytes | None) -> None:
        """Keep a connection whose request is incomplete (None: no byte yet)."""
        connection = Connection(self, face, fd, sock, peer)
        if len(self.loop.handlers) > OPEN_LIMIT:
            for queue in (self.lingering, self.slow, self.silent):
                if queue:
                    self.close(next(iter(queue.values())))
                    break
        self.loop.add(fd, connection.ready)
        self.silent[fd] = connection
        if data is not None:
            connection.feed(data)

    def move(self, connection: Connection, queue: dict[int, Connection]) -> None:
        fd = connection.fd
        if fd not in queue:
            self._forget(fd)
            queue[fd] = connection

    def renew(self, connection: Connection) -> None:
        """The next part has arrived: restart the timeout."""
        connection.since = time.monotonic()
        self._forget(connection.fd)
        self.slow[connection.fd] = connection

    def close(self, connection: Connection) -> None:
        self._forget(connection.fd)
        self.loop.handlers.pop(connection.fd, None)  # close takes it out of the epoll: a system call less
        connection.sock.close()

    def _forget(self, fd: int) -> None:
        self.silent.pop(fd, None)
        self.slow.pop(fd, None)
        self.lingering.pop(fd, None)

    def tick(self, now: float) -> bool:
        silent = _older(self.silent, now - SILENCE)
        for connection in _older(self.silent, now - SILENCE_BUSY) if silent and _tasks_wait() else silent:
            if connection.read():
                continue
            if connection.face.greets:
                connection.bare()
            else:
                self.move(connection, self.slow)
        for connection in _older(self.slow, now - PATIENCE):
            self.close(connection)
        for connection in _older(self.lingering, now - LINGER):
            self.close(connection)
        return bool(self.silent or self.slow or self.lingering)


def _older(queue: dict[int, Connection], limit: float) -> list[Connection]:
    old = []
    for connection in queue.values():
        if connection.since > limit:
            break
        old.append(connection)
    return old


def _tasks_wait() -> bool:
    """Whether more tasks can run than there are CPUs."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            running = file.read().split()[3].partition("/")[0]
        return int(running) > (os.cpu_count() or 1)
    except (OSError, ValueError, IndexError):
        return False


def _local(sock: _socket.socket) -> str:
    return plain(sock.getsockname()[0])


def _may_be_http(data: bytes) -> bool:
    """Whether the first line, so far, can be a request line (``METHOD target HTTP/1.1``)."""
    line, newline, _ = data.partition(b"\n")
    if newline:
        return b" HTTP/" in line
    return line.split(b" ", 1)[0].isalpha()


def _fields(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [line.partition(b":") for line in head.split(b"\n")[1:]]


def _hex(digits: bytes) -> int:
    """The size of a chunk; 0, which ends the body, if it is not a number."""
    try:
        return max(0, int(digits, 16))
    except ValueError:
        return 0
