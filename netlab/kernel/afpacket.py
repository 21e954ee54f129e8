"""Packets as they pass the interfaces of a namespace: one AF_PACKET socket sees all of them, later ones too.

The socket is made inside its namespace and read from anywhere.  It keeps a namespace alive whose name is gone, veth
peers and all, until it is closed.  Frames of one socket are in the order of their arrival; their times are the
kernel's (CLOCK_REALTIME, nanoseconds), equal where one skb passes two interfaces of one namespace.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from netlab.kernel import cbpf

_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # linux/if_packet.h
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_ETH_P_ALL = 3
_FRAME_MAX = 1 << 17  # with offloads a frame can have 64 KiB, and a jumbo one more
_TIME = struct.Struct("@qq")
_libc = ctypes.CDLL(None, use_errno=True)


class Seen(NamedTuple):
    """A frame: ``kind`` is sll_pkttype (0 in, 1 broadcast, 2 multicast, 3 for another host, 4 out)."""

    time: int
    interface: str
    kind: int
    data: bytes
    length: int


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
            # Python's own bind takes the name of an interface, and there is none for all of them.
            address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0, 0, 0, 0, b"")
            if _libc.bind(sock.fileno(), address, len(address)):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), "bind")
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return self._socket.fileno()

    def read(self) -> Iterator[Seen]:
        """What has arrived."""
        sock = self._socket
        while True:
            try:
                data, ancillary, _, address = sock.recvmsg(_FRAME_MAX, 128, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            except OSError:  # the interface that went down leaves an error; what came before it is still there
                continue
            time = 0
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIME.unpack_from(value)
                    time = seconds * 10**9 + nanoseconds
            yield Seen(time, address[0], address[2], data, len(data))

    def lost(self) -> int:
        """How many frames did not fit the buffer since this was last asked."""
        try:
            found = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        except OSError:
            return 0
        return int(struct.unpack_from("=II", found)[1])

    def close(self) -> None:
        """Close the socket: this waits for the kernel (RCU, up to 15 ms), so many are closed by many threads."""
        self._socket.close()


def grow(sock: socket.socket, size: int) -> None:
    """A larger receive buffer: beyond the system's limit where this process may, else up to it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
