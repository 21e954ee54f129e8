"""TCP: connect, ask by HTTP, read who answers, reset.

veth delivers in the sender's own system call, so a connection to a port of this machine is mostly established when
``connect`` returns: the request is tried at once, which saves a round of epoll.  Where the kernel has SCTP, its
one-to-one sockets behave nearly the same, and this asks them too.
"""

from __future__ import annotations

import errno
import fcntl
import select
import socket
import struct
import sys
import termios

from netlab.observe.answers import READ_MAX, STRANGER, Reply, read
from netlab.observe.attempt import Attempt, want_errors
from netlab.observe.errors import queued_error
from netlab.wire import dns

REQUEST = b"GET / HTTP/1.1\r\nHost: netlab\r\nUser-Agent: netlab-reach\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: netlab\r\nUser-Agent: netlab-check\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
# On close the kernel sends RST and forgets: no TIME_WAIT on either side, no port kept back for a minute.
_RESET = struct.pack("ii", 1, 0)
_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_RAW = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_SEND = socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT
_WAITING = (0, errno.EINPROGRESS)
_IN, _OUT, _ERR = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR
SCTP = 132
_REPEATED = 100  # bytes before tcpi_total_retrans in struct tcp_info


class TcpAttempt(Attempt):
    """One connection.  ``heard`` is set when the handshake is done."""

    __slots__ = ("data",)
    protocol = 0
    #: What ``send`` says until the handshake is done.
    unfinished = frozenset((errno.EAGAIN,))

    def start(self) -> None:
        self.data = b""
        target = self.target
        sock = self.sock = socket.SocketType(target.family, _KIND, self.protocol)
        want_errors(sock, v6=target.v6)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if not self.protocol:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        code = sock.connect_ex(target.sockaddr)
        if code not in _WAITING:
            raise OSError(code, "connect")
        try:
            self._send()
        except OSError as error:
            if error.errno in self.unfinished:
                self.run.watch(self, _IN | _OUT)
            elif error.errno == errno.ECONNRESET:  # after the handshake: before it, the kernel says ECONNREFUSED
                self.heard = True
                self.opened(STRANGER)
            else:
                self.failed(error.errno or errno.EIO)
        else:
            self.heard = True
            self.run.watch(self, _IN)

    def _send(self) -> None:
        self.sock.send(dns.IDENTITY_TCP if self.flow.port == dns.PORT and not self.protocol else REQUEST, _SEND)

    def ready(self, mask: int) -> None:
        if mask & _ERR and not self.heard:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or self._queued()
            if code and code != errno.EMSGSIZE:  # a smaller path MTU: the kernel acts on that by itself
                self.failed(code)
            return
        if not self.heard and mask & _OUT:
            self._ask()
        elif mask & ~_OUT:
            self._read(mask)

    def _queued(self) -> int:
        """The error of an ICMP message about this connection."""
        return queued_error(self.sock)[0]

    def _ask(self) -> None:
        self.heard = True
        self.run.again(self)
        try:
            self._send()
        except OSError:  # established and then reset: somebody listened
            self.opened(STRANGER)
            return
        self.run.rewatch(self, _IN)

    def _read(self, mask: int) -> None:
        try:
            got = self.sock.recv(READ_MAX)
        except BlockingIOError:
            if mask & _ERR:
                queued_error(self.sock)  # an ICMP error on an established connection changes nothing: it is open
            return
        except OSError:
            self.opened(STRANGER)
            return
        self.data = data = self.data + got if self.data else got
        name = dns.identity(data[2:]) if self.flow.port == dns.PORT else None
        reply = Reply(name, None) if name else read(self.target, data) if data else STRANGER
        if reply is None and not got:
            reply = STRANGER
        if reply is not None:
            self.opened(reply)

    def repeats(self) -> int:
        if self.protocol:  # SCTP's first repetition comes after three seconds, when all patience is over
            return 0
        info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _REPEATED + 4)
        return int.from_bytes(info[_REPEATED:], sys.byteorder)

    def silent(self) -> bool:
        if self.heard:
            self.opened(STRANGER)
            return True
        return False


class SizedAttempt(TcpAttempt):
    """A connection on which so many bytes must arrive: it is open once they are acknowledged.

    A responder that got nothing answers a silent client, too: a reply before the acknowledgement is kept.
    """

    __slots__ = ("left", "reply")

    def start(self) -> None:
        size = self.flow.size
        self.reply: Reply | None = None
        self.left = POST % size + b"\0" * size
        super().start()
        self._go_on()

    def _send(self) -> None:
        self.left = self.left[self.sock.send(self.left, _SEND) :]

    def _go_on(self) -> None:
        """Wait for room in the send buffer while bytes are left."""
        if self.heard and not self.done:
            self.run.rewatch(self, _IN | _OUT if self.left else _IN)

    def _ask(self) -> None:
        super()._ask()
        self._go_on()

    def ready(self, mask: int) -> None:
        if self.heard and mask & _OUT and self.left:
            try:
                self._send()
            except BlockingIOError:
                pass
            except OSError:
                self.opened(STRANGER)
                return
            self._go_on()
        super().ready(mask & ~_OUT if self.heard else mask)

    def _arrived(self) -> bool:
        return not self.left and not struct.unpack("=i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0]

    def opened(self, reply: Reply) -> None:
        if self._arrived():
            super().opened(reply)
        elif self.reply is None:
            self.reply = reply
            self.run.rewatch(self, select.EPOLLET)  # once more, and not for as long as the other side has hung up

    def silent(self) -> bool:
        if not self.heard or not self._arrived():
            return False
        super().opened(self.reply or STRANGER)
        return True


class SctpStreamAttempt(TcpAttempt):
    """The same over the kernel's SCTP, which hides errors that TCP reports.

    An SCTP socket's ``connect`` does not report the errors of the source's routes, and an ICMP message that arrives
    while ``connect`` holds the socket is lost.  A raw socket beside it (``errors``) gets both.
    """

    __slots__ = ("errors",)
    protocol = SCTP
    unfinished = frozenset((errno.EAGAIN, errno.EPIPE))

    def start(self) -> None:
        target = self.target
        self.errors = self.sock = socket.SocketType(target.family, _RAW, SCTP)
        want_errors(self.errors, v6=target.v6)
        self.errors.connect((target.address, 0))  # a raw IPv6 socket takes no port but 0
        super().start()
        if self.heard:
            self.errors.close()
        elif not self.done:
            self.run.watch_errors(self, self.errors)

    def _queued(self) -> int:
        self.errors.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # the queue holds it too, with its packet
        ports = struct.pack(">HH", self.sock.getsockname()[1], self.flow.port)
        while True:
            code, quoted = queued_error(self.errors)
            if not code or quoted[:4] == ports:
                return code

    def _ask(self) -> None:
        self.run.unwatch(self.errors)
        super()._ask()

    def close(self) -> None:
        self.run.unwatch(self.errors)
        self.errors.close()
        super().close()
