"""The probe: one real packet from the kernel's own stack, in its client's namespace, and what its socket says.

TCP: a connection whose initial sequence number we choose (TCP_REPAIR, which needs CAP_NET_ADMIN over the namespace);
with a size, that many bytes are sent on it and must be acknowledged.  UDP: a datagram, answered by any other.  ICMP:
an echo.  An object is made in the client's namespace and used from anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import termios

from netlab.observe.attempt import want_errors
from netlab.observe.errors import MSG_ERRQUEUE, outcome_of
from netlab.oracle.flow import Outcome
from netlab.wire import dns

_REPAIR, _REPAIR_QUEUE, _QUEUE_SEQ = 19, 20, 21  # linux/tcp.h
_SEND_QUEUE, _REPAIR_OFF = 2, -1  # without a window probe
_MTU_DISCOVER, _MTU_DISCOVER6, _DONTFRAG6, _DO = 10, 23, 62, 2  # linux/in.h, linux/in6.h
_RESET = struct.pack("ii", 1, 0)
_ECHO = {False: (8, 0), True: (128, 129)}
_ICMP6_FILTER = 1
PING_SIZE = 56  # bytes of payload, as ping's
_UDP_TEXT = b"netlab trace\n"
_NAME = "netlab.invalid"
_WAITING = (0, errno.EINPROGRESS, errno.EAGAIN)

OPEN, REFUSED, UNREACHABLE, TIMEOUT = "open", "refused", "unreachable", "timeout"


class Probe:
    """``outcome`` and ``error`` (an errno's name) are set when ``done``; ``local`` once the packet is sent."""

    protocol = ""

    def __init__(self, address: str, port: int, size: int, *, df: bool, name: str = "") -> None:
        self.address, self.port, self.size, self.df, self.name = address, port, size, df, name
        self.v6 = ":" in address
        self.number = (1 << 28) + int.from_bytes(os.urandom(4), "big") % (14 << 28)
        self.done = False
        self.portless = False  # the kernel had no free port for it
        self.outcome, self.error = TIMEOUT, ""
        self.local, self.local_port = "", 0
        self.sock: socket.socket
        self._open()

    @property
    def _family(self) -> int:
        return socket.AF_INET6 if self.v6 else socket.AF_INET

    def _open(self) -> None:
        raise NotImplementedError

    def send(self) -> None:
        """Send the packet."""
        raise NotImplementedError

    def ready(self, mask: int) -> None:
        """News from epoll."""
        raise NotImplementedError

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return self.sock.fileno()

    def wants(self) -> int:
        """What to ask epoll for."""
        return select.EPOLLIN

    def close(self) -> None:
        """End the socket."""
        self.sock.close()

    def _make(self, kind: int, protocol: int = 0) -> socket.socket:
        sock = socket.socket(self._family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        want_errors(sock, v6=self.v6)
        if self.df:
            level = socket.IPPROTO_IPV6 if self.v6 else socket.IPPROTO_IP
            sock.setsockopt(level, _MTU_DISCOVER6 if self.v6 else _MTU_DISCOVER, _DO)
            if self.v6 and kind != socket.SOCK_STREAM:
                sock.setsockopt(level, _DONTFRAG6, 1)
        return sock

    def _bind(self) -> int:
        """Take a port of the kernel's choice; the errno if there is none."""
        try:
            self.sock.bind(("", 0))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                raise
            self.portless = True
            return error.errno or 0
        self.local_port = self.sock.getsockname()[1]
        return 0

    def _named(self) -> None:
        with contextlib.suppress(OSError):
            self.local, port = self.sock.getsockname()[:2]
            self.local_port = self.local_port or port

    def _opened(self) -> None:
        self.done, self.outcome = True, OPEN

    def _goes_on(self, code: int) -> bool:
        """Whether an error is only written down.  EPERM: a rule in the client's own output hook ate the packet."""
        return code == errno.EPERM

    def _failed(self, code: int | None) -> None:
        """The socket named an error."""
        if code is None or code in _WAITING or self.done:
            return
        self.error = errno.errorcode.get(code, str(code))
        if self._goes_on(code):
            return
        if code == errno.ECONNRESET:
            self.outcome = REFUSED
        else:
            self.outcome = _OUTCOMES.get(outcome_of(code, self.protocol), UNREACHABLE)
        self.done = True

    def _connect(self) -> bool:
        try:
            self.sock.connect((self.address, self.port if self.protocol != "ICMP" else 0))
        except OSError as error:
            self._failed(error.errno)
        self._named()
        return not self.done

    def poll(self) -> None:
        """Look for what epoll does not tell."""

    @property
    def persists(self) -> bool:
        """Whether one packet's loss decides nothing: TCP sends what is lost again, and may learn a smaller MTU."""
        return False

    def _queued(self) -> None:
        """The errors that the kernel kept, each an ICMP error's."""
        while True:
            try:
                _, ancillary, _, _ = self.sock.recvmsg(256, 256, MSG_ERRQUEUE)
            except OSError:
                return
            for _, _, value in ancillary:
                if len(value) >= 16:
                    self._failed(struct.unpack_from("=I", value)[0])


_OUTCOMES = {Outcome.REFUSED: REFUSED, Outcome.TIMEOUT: TIMEOUT, Outcome.UNREACHABLE: UNREACHABLE}


class TcpProbe(Probe):
    """A connection; what ``size`` says is sent on it."""

    protocol = "TCP"

    def _open(self) -> None:
        self.sock = sock = self._make(socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.setsockopt(socket.IPPROTO_TCP, _REPAIR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, _REPAIR_QUEUE, _SEND_QUEUE)
        sock.setsockopt(socket.IPPROTO_TCP, _QUEUE_SEQ, struct.pack("=I", self.number))
        sock.setsockopt(socket.IPPROTO_TCP, _REPAIR, _REPAIR_OFF)
        self._bind()  # without a free port, connect may still share one
        self._connected = False
        self._left = b"\0" * self.size

    def wants(self) -> int:
        return select.EPOLLOUT

    def send(self) -> None:
        self._connect()

    def _goes_on(self, code: int) -> bool:
        return code in (errno.EPERM, errno.EMSGSIZE)  # a smaller path MTU: TCP acts on that by itself

    def ready(self, mask: int) -> None:
        if not self._connected:
            self._failed(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            self._queued()
            self._connected = not self.done and bool(mask & select.EPOLLOUT)
        while self._left and self._connected and not self.done:
            try:
                self._left = self._left[self.sock.send(self._left) :]
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error.errno)
        self.poll()

    @property
    def persists(self) -> bool:
        return self._connected

    def poll(self) -> None:
        """Whether all that was sent is acknowledged."""
        if not self._connected or self.done or self._left:
            return
        waiting = struct.unpack("=i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0] if self.size else 0
        if not waiting:
            self._opened()


class UdpProbe(Probe):
    """A datagram.  To port 53 it is a question for a name, so that a name server answers."""

    protocol = "UDP"

    def _open(self) -> None:
        self.sock = self._make(socket.SOCK_DGRAM)
        self._failed(self._bind())
        if self.port == dns.PORT:
            self.number = self.number & 0xFFFF0000 | 0x0100  # the question's number, and "recursion desired"
            kind = dns.AAAA if self.v6 else dns.A
            self._data = dns.query(self.number >> 16, self.name if dns.is_name(self.name) else _NAME, kind)
        else:
            self._data = struct.pack("!I", self.number) + _UDP_TEXT
        if self.size:
            self._data = self._data.ljust(self.size, b".")[: max(4, self.size)]
        self.size = len(self._data)

    def send(self) -> None:
        if self.done or not self._connect():
            return
        try:
            self.sock.send(self._data)
        except OSError as error:
            self._failed(error.errno)

    def ready(self, mask: int) -> None:
        self._queued()
        if self.done:
            return
        try:
            self.sock.recv(65535)
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(error.errno)
        else:
            self._opened()


class IcmpProbe(Probe):
    """An echo, answered by its reply."""

    protocol = "ICMP"

    def _open(self) -> None:
        self.size = max(4, self.size or PING_SIZE)
        self.sock = self._make(socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if self.v6 else socket.IPPROTO_ICMP)
        if self.v6:  # let through echo replies only; a set bit blocks
            block = bytearray(b"\xff" * 32)
            word = struct.unpack_from("=I", block, 16)[0] & ~(1 << (129 & 31))
            struct.pack_into("=I", block, 16, word)
            self.sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(block))

    def send(self) -> None:
        if not self._connect():
            return
        payload = struct.pack("!I", self.number).ljust(self.size, b".")
        kind = _ECHO[self.v6][0]
        head = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, 1)
        if not self.v6:  # the kernel fills in ICMPv6's own
            head = struct.pack("!BBHHH", kind, 0, _checksum(head + payload), os.getpid() & 0xFFFF, 1)
        try:
            self.sock.send(head + payload)
        except OSError as error:
            self._failed(error.errno)

    def ready(self, mask: int) -> None:
        self._queued()
        while not self.done:
            try:
                data = self.sock.recv(65535)
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error.errno)
                return
            icmp = data if self.v6 else data[(data[0] & 15) * 4 :]
            if icmp[:1] == bytes([_ECHO[self.v6][1]]) and icmp[8:12] == struct.pack("!I", self.number):
                self._opened()


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def probe(protocol: str, address: str, port: int, size: int = 0, *, df: bool = False, name: str = _NAME) -> Probe:
    """A probe in the namespace that the calling thread is in; ``name``: the question to a name server."""
    kinds: dict[str, type[Probe]] = {"TCP": TcpProbe, "UDP": UdpProbe, "ICMP": IcmpProbe}
    return kinds[protocol](address, port, size, df=df, name=name)
