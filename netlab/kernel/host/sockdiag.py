"""Who listens: questions to the kernel's socket diagnosis, mostly one port at a time.

A dump of all listeners of one namespace walks the hash table of all namespaces; asking for one port is a look-up.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from netlab.kernel.rtnetlink.socket import NETLINK_SOCK_DIAG, NetlinkSocket, attr_dict
from netlab.tuples import NamedTuple

_BY_FAMILY = 20
_NO_COOKIE = 0xFFFFFFFF
_PROTOCOLS = {"TCP": 6, "UDP": 17}
_LISTEN = {"TCP": 1 << 10, "UDP": 1 << 7}  # TCP_LISTEN; an unconnected UDP socket is TCP_CLOSE
_V6ONLY = 11  # INET_DIAG_SKV6ONLY
_MESSAGE = struct.Struct("=BBBB2s2s16s16sI8sIIIII")  # struct inet_diag_msg


class ListeningSocket(NamedTuple):
    """A socket that takes what comes in on a port: ``device`` is the interface's index, 0 for any.

    ``waiting`` and ``room``: of TCP the connections that nobody has accepted yet and how many may wait, of UDP the bytes
    that nobody has read (``room`` is 0).
    """

    address: str
    port: int
    device: int
    v6only: bool
    waiting: int
    room: int
    inode: int


def listening(protocol: str) -> list[ListeningSocket]:
    """The listening sockets of the current thread's namespace."""
    with contextlib.closing(NetlinkSocket(NETLINK_SOCK_DIAG, plain=True)) as sock:
        sockets = []
        for family in (socket.AF_INET, socket.AF_INET6):
            body = struct.pack("=BBBBI", family, _PROTOCOLS[protocol], 0, 0, _LISTEN[protocol]) + bytes(48)
            sockets += [_listening(part) for _, part in sock.dump(_BY_FAMILY, body)]
        return sockets


def _listening(part: memoryview) -> ListeningSocket:
    family, _, _, _, port, _, raw, _, device, _, _, waiting, room, _, inode = _MESSAGE.unpack_from(part)
    address = socket.inet_ntop(family, raw[:4] if family == socket.AF_INET else raw)
    attrs = attr_dict(part, _MESSAGE.size)
    v6only = family == socket.AF_INET6 and bytes(attrs.get(_V6ONLY, b"\0"))[:1] == b"\1"
    return ListeningSocket(address, int.from_bytes(port, "big"), device, v6only, waiting, room, inode)


class Listening:
    """A socket that receives at a port; ``device`` is the interface's index, 0 for any.

    ``waiting`` and ``room``: for TCP, the connections that wait for accept and their limit. For UDP, ``waiting`` is the
    number of unread bytes, and ``room`` is 0.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_SOCK_DIAG, plain=True)

    def close(self) -> None:
        self._socket.close()

    def holds(self, protocol: str, port: int, addresses: tuple[str, ...]) -> bool:
        """Whether a socket would take what comes in on the port, at any of the addresses.

        ``addresses`` are the Pod's own: a process may listen on just one of them.
        """
        return any(self._asks(protocol, port, address) for address in addresses)

    def _asks(self, protocol: str, port: int, address: str) -> bool:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        padded = raw + bytes(16 - len(raw))
        # The look-up is the one for an incoming packet.  For UDP the kernel reads the two ends the other way round
        # (udp_diag.c: "src and dst are swapped for historical reasons").
        ends = struct.pack("!HH", port, 0) + padded + bytes(16)
        if protocol == "UDP":
            ends = struct.pack("!HH", 0, port) + bytes(16) + padded
        body = struct.pack("=BBBBI", family, _PROTOCOLS[protocol], 0, 0, 0xFFFFFFFF)
        body += ends + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
        return self._socket.ask(_BY_FAMILY, body) is not None
