"""UDP: a datagram on a connected socket, and a second on the same one, so that a late reply still counts."""

from __future__ import annotations

import errno
import select
import socket

from netlab.observe.answers import STRANGER, Reply, read
from netlab.observe.attempt import Attempt, want_errors
from netlab.observe.errors import queued_error
from netlab.wire import dns

_KIND = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_ASK = b"netlab\n"


class UdpAttempt(Attempt):
    """One socket, two datagrams of the flow's size."""

    __slots__ = ()

    def start(self) -> None:
        target = self.target
        self.sock = socket.SocketType(socket.AF_INET6 if target.v6 else socket.AF_INET, _KIND, 0)
        want_errors(self.sock, v6=target.v6)
        self.sock.connect(target.sockaddr)
        self.run.watch(self, select.EPOLLIN)
        self._ask()

    def _ask(self) -> None:
        try:
            ask = dns.IDENTITY if self.flow.port == dns.PORT else _ASK
            self.sock.send(ask.ljust(self.flow.size, b"."))
        except OSError as error:
            # EPERM: a rule in the source's own output hook dropped it, which is silence; where the rule also rejects,
            # the ICMP error is in the queue
            if error.errno not in (errno.EPERM, errno.EAGAIN):
                self.failed(error.errno or errno.EIO)

    def ready(self, mask: int) -> None:
        try:
            data = self.sock.recv(65535)
        except BlockingIOError:
            code = queued_error(self.sock)[0] if mask & select.EPOLLERR else 0
            if code and code != errno.EMSGSIZE:
                self.failed(code)
            return
        except OSError as error:
            self.failed(error.errno or errno.EIO)
            return
        name = dns.identity(data) if self.flow.port == dns.PORT else None
        self.opened(Reply(name, None) if name else read(self.target, data) or STRANGER)

    def silent(self) -> bool:
        if self.number > 1:
            return False
        self.number = 2
        self.run.again(self)
        self._ask()
        return True
