"""SCTP over a raw socket, for kernels without it: INIT, COOKIE-ECHO with a message, the reply, ABORT.

Every raw socket of a namespace receives all SCTP packets from its peer. Port and verification tag show which attempt a
packet belongs to. For an ICMP error, the quoted packet shows it. An open raw socket also keeps the kernel from sending
"protocol unreachable". Where no responder listens, the attempt sends that refusal itself: this happens when two ends
send requests at the same time, or an end sends one to itself.
"""

from __future__ import annotations

import functools
import itertools
import os
import select
import socket
import struct

from netlab.observe.answers import STRANGER, read
from netlab.observe.attempt import Attempt, want_errors
from netlab.observe.errors import queued_error
from netlab.runtime.agent.responders.sctp import (
    ABORT,
    COOKIE_ECHO,
    DATA,
    INIT,
    INIT_ACK,
    PROTOCOL,
    SACK,
    STATE_COOKIE,
    chunk,
    chunks_of,
    crc32c,
    packet,
)

_KIND = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_WINDOW = 65536
_PROTOCOL_COLUMN = f":{PROTOCOL:04X}"  # of /proc/net/raw, in the place of the port
_DATA_WHOLE = 3  # the first and the last part of its message
# Not from the beginning each time: conntrack remembers an association for ten seconds after its end, and a policy that
# came meanwhile lets pass what belongs to one.
_ports = itertools.count(int.from_bytes(os.urandom(2), "big"))


@functools.cache
def kernel_speaks_sctp() -> bool:
    """Found out by asking for a socket, which also loads the module where there is one."""
    try:
        socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, PROTOCOL).close()
    except OSError:
        return False
    return True


def somebody_answers(*, v6: bool) -> bool:
    """Whether the current namespace has a raw SCTP socket for all peers, as responders have; attempts' have one peer."""
    with open(f"/proc/thread-self/net/raw{6 if v6 else ''}", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return any(row[1].endswith(_PROTOCOL_COLUMN) and not row[2].strip("0:") for row in rows)


class RawSctpAttempt(Attempt):
    """One association.  ``heard`` is set by the INIT-ACK."""

    __slots__ = ("peer_tag", "port", "tag", "tsn")

    def start(self) -> None:
        target = self.target
        self.sock = socket.SocketType(socket.AF_INET6 if target.v6 else socket.AF_INET, _KIND, PROTOCOL)
        want_errors(self.sock, v6=target.v6)
        self.sock.connect((target.address, 0))  # a raw IPv6 socket takes no port but 0
        self.run.watch(self, select.EPOLLIN)
        # no socket holds the port, so take those below the kernel's ephemeral range, each in its turn
        self.port = 16384 + next(_ports) % 16384
        self.tag = int.from_bytes(os.urandom(4), "big") or 1
        self.tsn = int.from_bytes(os.urandom(4), "big")
        self.peer_tag = 0
        init = struct.pack(">IIHHI", self.tag, _WINDOW, 1, 1, self.tsn)
        self._send(0, chunk(INIT, init))

    def _send(self, tag: int, *chunks: bytes) -> None:
        """Send a packet; EPERM is a drop by a rule of the source's own, and any ICMP error comes by the queue."""
        data = packet(self.port, self.flow.port, tag, *chunks)
        for _ in range(3):  # an error that an earlier ICMP message left on the socket is told once, instead of sending
            try:
                self.sock.send(data)
                return
            except OSError:
                continue

    def ready(self, mask: int) -> None:
        while not self.done:
            try:
                data = self.sock.recv(65535)
            except BlockingIOError:
                break
            except OSError:
                continue  # the socket's pending error: the queue says which packet it is about
            self._take(data)
        while not self.done and mask & select.EPOLLERR:
            code, quoted = queued_error(self.sock)
            if not code:
                break
            if quoted[:4] == struct.pack(">HH", self.port, self.flow.port) and not self.heard:
                self.failed(code)

    def _take(self, data: bytes) -> None:
        if not self.target.v6:  # the raw IPv4 socket alone delivers the IP header
            data = data[(data[0] & 15) * 4 :]
        if len(data) < 16 or data[:4] != struct.pack(">HH", self.flow.port, self.port):
            self._refuse(data)
            return
        (tag,) = struct.unpack_from(">I", data, 4)
        if struct.unpack_from("<I", data, 8)[0] != crc32c(data[:8] + bytes(4) + data[12:]):
            return
        for kind, flags, value in chunks_of(data):
            if self.done:
                return
            if kind == ABORT and (tag == self.tag or (flags & 1 and tag == self.peer_tag)):
                self._aborted()
            elif tag != self.tag:
                return
            elif kind == INIT_ACK and not self.heard:
                self._echo(value)
            elif kind == DATA and len(value) > 12:
                self._answered(value)

    def _refuse(self, data: bytes) -> None:
        """An INIT of the peer: no responder gives the answer that the kernel would give but for this socket."""
        source, target, none = struct.unpack_from(">HHI", data) if len(data) >= 20 else (0, 0, 1)
        if none or data[12] != INIT or self.run.sctp_is_answered(self):
            return
        try:
            self.sock.send(packet(target, source, struct.unpack_from(">I", data, 16)[0], chunk(ABORT)))
        except OSError:
            return

    def _aborted(self) -> None:
        if self.heard:
            self.opened(STRANGER)
        else:
            self.failed(111)  # ECONNREFUSED, as the kernel's own SCTP says

    def _echo(self, value: bytes) -> None:
        """Go on with the association: the cookie back, and a message, to be answered with the responder's line."""
        if len(value) < 16:
            return
        self.heard = True
        self.run.again(self)
        (self.peer_tag,) = struct.unpack_from(">I", value)
        at = 16
        while at + 4 <= len(value):
            kind, length = struct.unpack_from(">HH", value, at)
            if kind == STATE_COOKIE and length >= 4:
                message = struct.pack(">IHHI", self.tsn, 0, 0, 0) + b"netlab\n"
                cookie = chunk(COOKIE_ECHO, value[at + 4 : at + length])
                self._send(self.peer_tag, cookie, chunk(DATA, message, flags=_DATA_WHOLE))
                return
            at += max(4, length + (-length % 4))

    def _answered(self, value: bytes) -> None:
        (tsn,) = struct.unpack_from(">I", value)
        self._send(self.peer_tag, chunk(SACK, struct.pack(">IIHH", tsn, _WINDOW, 0, 0)))
        self.opened(read(self.target, value[12:]) or STRANGER)

    def silent(self) -> bool:
        if self.heard:
            self.opened(STRANGER)
        return self.heard

    def close(self) -> None:
        if self.heard:  # end the association on the other side as well
            self._send(self.peer_tag, chunk(ABORT))
        self.sock.close()
