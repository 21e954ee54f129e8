"""Packets as they pass the interfaces of a namespace: one AF_PACKET socket sees all of them, later ones too.

The socket is made inside its namespace and read from anywhere.  It keeps a namespace alive whose name is gone, veth
peers and all, until it is closed.  Frames of one socket are in the order of their arrival; their times are the
kernel's (CLOCK_REALTIME, nanoseconds), equal where one skb passes two interfaces of one namespace.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from netlab.kernel.capture import filter as cbpf
from netlab.tuples import NamedTuple

_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # linux/if_packet.h
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 64, 33  # SO_TIMESTAMPNS_NEW: 64 bits on every architecture
ETHERNETS = frozenset((1, 772))  # ARPHRD_ETHER, ARPHRD_LOOPBACK: interfaces with an Ethernet header
_FRAME_MAX = 1 << 17  # with offloads a frame can have 64 KiB, and a jumbo one more
_TIME = struct.Struct("@qq")
_PAUSE, _BLIND = 0.0003, 0.01  # seconds


class Seen(NamedTuple):
    """A frame: ``kind`` is sll_pkttype (0 in, 1 broadcast, 2 multicast, 3 for another host, 4 out).

    ``bare``: it begins with the IP header, since its interface has no Ethernet header.
    """

    time: int
    interface: str
    kind: int
    data: bytes
    length: int
    bare: bool = False


class PacketSocket:
    """A socket on every interface of the namespace that the calling thread is in when it is made.

    ``program``: a classic BPF filter.  Nothing is received before the filter is in place.
    """

    def __init__(self, program: bytes, *, buffer: int = 8 << 20) -> None:
        self._socket = sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            cbpf.attach(sock, program)
            grow(sock, buffer)
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            cbpf.bind(sock)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return self._socket.fileno()

    def read(self, most: int = 4096) -> Iterator[Seen]:
        """The frames that have arrived, up to a limit, because under load they never end."""
        sock = self._socket
        for _ in range(most):
            try:
                data, ancillary, _, address = sock.recvmsg(_FRAME_MAX, 128, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            except OSError:  # the interface that went down leaves an error; what came before it is still there
                continue
            stamp = 0
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                    stamp = _nanoseconds(value)
            yield Seen(stamp, address[0], address[2], data, len(data), address[3] not in ETHERNETS)

    def lost(self) -> int:
        """The number of frames that did not fit the buffer since the last call."""
        try:
            statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        except OSError:
            return 0
        return int(struct.unpack_from("=II", statistics)[1])

    def close(self) -> None:
        """Close the socket: this waits for the kernel (RCU, up to 15 ms), so many are closed by many threads."""
        self._socket.close()


def wait_for_stamps(patience: float = 0.1) -> None:
    """Wait until the kernel stamps packets as they pass, which it begins a moment after the first socket asked for it.

    Until then they get the time at which they are read, and their order over namespaces is lost.  A datagram of our own
    over the loopback tells: one that is read a little after it was sent has the time of the sending, or of the reading.
    """
    end = time.monotonic() + patience
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(_PAUSE * 10)
            while time.monotonic() < end:
                sock.sendto(b"?", sock.getsockname())
                sent = time.time_ns()
                time.sleep(_PAUSE)
                _, ancillary, _, _ = sock.recvmsg(8, 128)
                if any(kind == _SO_TIMESTAMPNS and _nanoseconds(value) <= sent for _, kind, value in ancillary):
                    return
    except OSError:  # no loopback here: then the moment must do
        time.sleep(min(_BLIND, patience))


def _nanoseconds(value: bytes) -> int:
    seconds, nanoseconds = _TIME.unpack_from(value)
    return int(seconds) * 10**9 + int(nanoseconds)


def grow(sock: socket.socket, size: int) -> None:
    """A larger receive buffer: beyond the system's limit where this process may, else up to it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
