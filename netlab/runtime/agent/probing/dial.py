"""The agent's TCP connections: from a given network namespace, never blocking, with TLS if requested.

Errors have the form of Go's net package, since ``describe pod`` shows those of a kubelet's probes.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netlab.runtime.agent import linux
from netlab.runtime.agent.loop import Loop

if TYPE_CHECKING:
    import ssl

_READ = 65536
_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ECONNRESET: "connection reset by peer",
    errno.ETIMEDOUT: "connection timed out",
    errno.EPIPE: "broken pipe",
}


class NotTls(Exception):
    """The server's first bytes (the argument) are not TLS."""


def words(number: int) -> str:
    """An errno's text in Go."""
    return _WORDS.get(number, os.strerror(number).lower())


def joined(host: str, port: int | str) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Dialer:
    """Makes connections in other namespaces; the agent is back in its own when ``connect`` returns."""

    def __init__(self, loop: Loop, root: int) -> None:
        self.loop, self.root = loop, root
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._tls: Any = None
        self.helpers: dict[
            str, Any
        ] = {}  # helper processes by protocol; the first probe of a protocol starts its helper

    def connect(self, netns: str, host: str, port: int, *, tls: bool = False) -> Connection:
        """Begin; OSError where the kernel refuses at once.  The caller sets the connection's callbacks next."""
        sock = self._socket(netns, _socket.AF_INET6 if ":" in host else _socket.AF_INET)
        try:
            sock.setblocking(False)
            try:
                sock.connect((host, port))
            except BlockingIOError:
                pass
        except OSError:
            sock.close()
            raise
        return Connection(self.loop, sock, host, port, self._context() if tls else None)

    def _socket(self, netns: str, family: int) -> _socket.socket:
        fd = os.open(f"run/netns/{netns}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.root)
        try:
            linux.setns(fd, linux.CLONE_NEWNET)
            return _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        finally:
            linux.setns(self.home, linux.CLONE_NEWNET)
            os.close(fd)

    def resolve(self, netns: str, host: str) -> str:
        """The address of a name of the node's hosts file; the name itself where it is an address; else ""."""
        if ":" in host or host.replace(".", "").isdigit():
            return host
        try:
            fd = os.open(f"etc/netns/{netns}/hosts", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.root)
            with open(fd, encoding="utf-8", errors="replace") as hosts:
                rows = [line.partition("#")[0].split() for line in hosts]
        except OSError:
            rows = []
        rows.append(["127.0.0.1", "localhost"])
        return next((row[0] for row in rows if host in row[1:]), "")

    def _context(self) -> Any:
        if self._tls is None:
            import ssl  # 6 MB that few labs need

            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        return self._tls


class Connection:
    """One connection.  ``opened``, ``received`` (b"": the end) and ``failed`` are its owner's.

    ``failed`` gets the exception and the word for what was done: dial, read, write, tls.
    """

    def __init__(self, loop: Loop, sock: _socket.socket, host: str, port: int, context: Any) -> None:
        self.loop, self.sock, self.host, self.port = loop, sock, host, port
        self.opened: Callable[[], None] = lambda: None
        self.received: Callable[[bytes], None] = lambda _data: None
        self.failed: Callable[[Exception, str], None] = lambda _error, _doing: None
        self.out = b""
        self.connected = self.closed = False
        self.first = b""
        self.tls: ssl.SSLObject | None = None
        if context is not None:
            import ssl

            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing)
            self.shaken = False
        loop.add(sock.fileno(), self._ready, select.EPOLLOUT)

    @property
    def ends(self) -> str:
        """``10.244.1.1:40000->10.244.1.2:80``, as Go names a connection."""
        try:
            local = self.sock.getsockname()
        except OSError:
            return joined(self.host, self.port)
        return f"{joined(local[0], local[1])}->{joined(self.host, self.port)}"

    def send(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.write(data)
            data = self.outgoing.read()
        self.out += data
        self._flush()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.remove(self.sock.fileno())
            self.sock.close()

    def _ready(self, mask: int) -> None:
        doing = "dial"
        try:
            if not self.connected:
                number = self.sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
                if number:
                    raise OSError(number, words(number))
                self.connected = True
                self.loop.change(self.sock.fileno(), select.EPOLLIN)
                doing = "tls"
                if self.tls is None:
                    self.opened()
                else:
                    self._shake()
                return
            doing = "write"
            if mask & select.EPOLLOUT:
                self._flush()
            doing = "read"
            if not self.closed and mask & ~select.EPOLLOUT:
                self._take(self.sock.recv(_READ))
        except BlockingIOError:
            return
        except (OSError, NotTls) as error:
            if not self.closed:
                self.failed(error, "tls" if isinstance(error, NotTls) or type(error).__module__ == "ssl" else doing)

    def _flush(self) -> None:
        if self.out and self.connected and not self.closed:
            sent = self.sock.send(self.out, _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT)
            self.out = self.out[sent:]
            self.loop.change(self.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if self.out else 0))

    def _take(self, data: bytes) -> None:
        if self.tls is None:
            self.received(data)
            return
        if not self.first:
            self.first = data
            if data and data[0] not in (0x15, 0x16):  # an alert or a handshake
                raise NotTls(data)
        if data:
            self.incoming.write(data)
        elif not self.shaken:
            self.received(b"")
            return
        if not self.shaken:
            self._shake()
            if not self.shaken:
                return
        self._decrypted(ended=not data)

    def _shake(self) -> None:
        assert self.tls is not None
        import ssl

        try:
            self.tls.do_handshake()
            self.shaken = True
        except ssl.SSLWantReadError:
            pass
        self.out += self.outgoing.read()
        self._flush()
        if self.shaken:
            self.opened()

    def _decrypted(self, *, ended: bool) -> None:
        assert self.tls is not None
        import ssl

        while not self.closed:
            try:
                data = self.tls.read(_READ)
            except (ssl.SSLWantReadError, ssl.SSLSyscallError):
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                ended = True
                break
            if not data:
                ended = True
                break
            self.received(data)
        if ended and not self.closed:
            self.received(b"")
