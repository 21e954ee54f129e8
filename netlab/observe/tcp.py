"""TCP: connect, ask by HTTP, read who answers, reset.

veth delivers in the sender's own system call, so a connection to a port of this machine is mostly established when
``connect`` returns: the request is tried at once, which saves a round of epoll.  Where the kernel has SCTP, its
one-to-one sockets behave the same, and this asks them too.
"""

from __future__ import annotations

import errno
import select
import socket
import struct

from netlab.observe.answers import READ_MAX, STRANGER, read
from netlab.observe.attempt import Attempt
from netlab.observe.errors import IP_RECVERR, IPV6_RECVERR, queued_error

REQUEST = b"GET / HTTP/1.1\r\nHost: netlab\r\nUser-Agent: netlab-reach\r\nConnection: close\r\n\r\n"
# On close the kernel sends RST and forgets: no TIME_WAIT on either side, no port kept back for a minute.
_RESET = struct.pack("ii", 1, 0)
_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_SEND = socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT
_WAITING = (0, errno.EINPROGRESS)
_IN, _OUT, _ERR = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR
SCTP = 132


class TcpAttempt(Attempt):
    """One connection.  ``heard`` is set when the handshake is done."""

    __slots__ = ("data",)
    protocol = 0

    def start(self) -> None:
        self.data = b""
        target = self.target
        if target.v6:
            sock = self.sock = socket.SocketType(socket.AF_INET6, _KIND, self.protocol)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            sock = self.sock = socket.SocketType(socket.AF_INET, _KIND, self.protocol)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if not self.protocol:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        code = sock.connect_ex(target.sockaddr)
        if code not in _WAITING:
            raise OSError(code, "connect")
        try:
            sock.send(REQUEST, _SEND)
        except BlockingIOError:
            self.run.watch(self, _IN | _OUT)
        except OSError as error:
            if error.errno == errno.ECONNRESET:  # after the handshake: before it, the kernel says ECONNREFUSED
                self.heard = True
                self.opened(STRANGER)
            else:
                self.failed(error.errno or errno.EIO)
        else:
            self.heard = True
            self.run.watch(self, _IN)

    def ready(self, mask: int) -> None:
        if mask & _ERR and not self.heard:
            code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or queued_error(self.sock)[0]
            if code and code != errno.EMSGSIZE:  # a smaller path MTU: the kernel acts on that by itself
                self.failed(code)
            return
        if not self.heard and mask & _OUT:
            self._ask()
        elif mask & ~_OUT:
            self._read(mask)

    def _ask(self) -> None:
        self.heard = True
        self.run.again(self)
        try:
            self.sock.send(REQUEST, _SEND)
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
        answer = read(self.target, data) if data else STRANGER
        if answer is None and not got:
            answer = STRANGER
        if answer is not None:
            self.opened(answer)

    def silent(self) -> bool:
        if self.heard:
            self.opened(STRANGER)
            return True
        return False


class SctpStreamAttempt(TcpAttempt):
    """The same over the kernel's SCTP."""

    __slots__ = ()
    protocol = SCTP
