"""The TCP responder: HTTP/1.1, or the bare line for a client that says nothing.

The common case (accept, one read that holds the whole request, one write, close) makes five system calls and no
object that outlives it; a prober opens tens of thousands of these a second.
"""

from __future__ import annotations

import _socket
import time
from typing import TYPE_CHECKING

from netlab.runtime.agent.face import Face, plain

if TYPE_CHECKING:
    from netlab.runtime.agent.loop import Loop

SILENCE = 0.2  # seconds until a client that has sent nothing gets the bare line
PATIENCE = 10.0  # seconds for a request's head to arrive
LINGER = 2.0  # seconds to read on after the answer: closing with unread bytes sends RST, which destroys the answer
HEAD_LIMIT = 16384
BODY_LIMIT = 8 << 20  # bytes of a request's body that are read and thrown away
OPEN_LIMIT = 4096
BATCH = 128

_DONTWAIT = _socket.MSG_DONTWAIT
_SEND = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
_STREAM = _socket.SOCK_STREAM
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

Peer = tuple[str, int]


class Connection:
    """One connection that could not be answered in the first go."""

    __slots__ = ("answered", "budget", "buffer", "face", "fd", "owner", "peer", "since", "sock")

    def __init__(self, owner: Tcp, face: Face, fd: int, sock: _socket.socket, peer: Peer) -> None:
        self.owner, self.face, self.fd, self.sock, self.peer = owner, face, fd, sock, peer
        self.buffer = b""
        self.since = time.monotonic()
        self.answered = False
        self.budget = BODY_LIMIT

    def ready(self, mask: int) -> None:
        """Bytes, end of file or an error have arrived."""
        try:
            data = self.sock.recv(65536, _DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # the client reset it: its right
            self.owner.close(self)
            return
        if self.answered:
            self.budget -= len(data)
            if not data or self.budget <= 0:
                self.owner.close(self)
        else:
            self.feed(data)

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
            self.owner.answer(self.face, self.sock, self.peer, head_only=self.buffer.startswith(b"HEAD "))
            expected = _body_length(self.buffer[:end])
            if expected or len(self.buffer) > end + size:
                self.linger()
            else:
                self.owner.close(self)
        elif not data or self.buffer[:1] == b"\x16" or not _may_be_http(self.buffer):
            self.bare()
        elif len(self.buffer) > HEAD_LIMIT:
            self.send(_TOO_LARGE)
            self.linger()
        else:
            self.owner.move(self, self.owner.slow)

    def bare(self) -> None:
        """Answer with the line alone and read on until the client ends."""
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
        self.answered, self.buffer, self.since = True, b"", time.monotonic()
        try:
            self.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            self.owner.close(self)
            return
        self.owner.move(self, self.owner.lingering)


class Tcp:
    """All TCP listeners of the agent.  Each of the three queues is in order of age, so a look at its head is enough."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.silent: dict[int, Connection] = {}
        self.slow: dict[int, Connection] = {}
        self.lingering: dict[int, Connection] = {}
        self.served = 0
        loop.tickers.append(self.tick)

    def open(self, family: int, face: Face, *, only6: bool) -> _socket.socket:
        """A listener on the port's wildcard address, in the namespace that the thread is in."""
        sock = _socket.socket(family, _STREAM | _socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            if family == _socket.AF_INET6:
                sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, int(only6))
            sock.bind(("::" if family == _socket.AF_INET6 else "0.0.0.0", face.port))
            sock.listen(4096)  # the kernel takes the lower of this and its net.core.somaxconn
        except OSError:
            sock.close()
            raise
        return sock

    def serve(self, sock: _socket.socket, family: int, face: Face) -> None:
        accept = sock._accept  # type: ignore[attr-defined]  # (descriptor, address): half the cost of socket.accept
        make, answer, close_later = _socket.socket, self.answer, self.wait

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
                    answer(face, connection, peer)
                    connection.close()
                else:
                    close_later(face, fd, connection, peer, data)

        self.loop.add(sock.fileno(), ready)

    def answer(self, face: Face, sock: _socket.socket, peer: Peer, *, head_only: bool = False) -> None:
        self.served += 1
        try:
            local = _local(sock)
            body = face.line(local, plain(peer[0]), peer[1])
            head = _OK % len(body)
            # MSG_MORE: the close or shutdown that follows at once sends the answer and its FIN in one segment.
            sock.send(head if head_only else head + body, _SEND | _socket.MSG_MORE)
        except OSError:  # the client has gone
            pass

    def wait(self, face: Face, fd: int, sock: _socket.socket, peer: Peer, data: bytes | None) -> None:
        """Keep a connection whose request is not here yet (None: not a byte of it)."""
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

    def close(self, connection: Connection) -> None:
        self._forget(connection.fd)
        self.loop.handlers.pop(connection.fd, None)  # close takes it out of the epoll: a system call less
        connection.sock.close()

    def _forget(self, fd: int) -> None:
        self.silent.pop(fd, None)
        self.slow.pop(fd, None)
        self.lingering.pop(fd, None)

    def tick(self, now: float) -> bool:
        for connection in _older(self.silent, now - SILENCE):
            connection.bare()
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


def _local(sock: _socket.socket) -> str:
    return plain(sock.getsockname()[0])


def _may_be_http(data: bytes) -> bool:
    """Whether the first line, as far as it is here, can be a request line (``METHOD target HTTP/1.1``)."""
    line, newline, _ = data.partition(b"\n")
    if newline:
        return b" HTTP/" in line
    return line.split(b" ", 1)[0].isalpha()


def _body_length(head: bytes) -> int:
    """Bytes of body that the head announces; 1 for a chunked one, whose end only the client knows."""
    for line in head.split(b"\n")[1:]:
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if name == b"content-length":
            return int(value) if value.strip().isdigit() else 1
        if name == b"transfer-encoding":
            return 1
    return 0
