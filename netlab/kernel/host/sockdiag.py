"""Who listens: questions to the kernel's socket diagnosis, one port at a time.

A dump of all listeners of one namespace walks the hash table of all namespaces; asking for one port is a look-up.
"""

from __future__ import annotations

import socket
import struct

from netlab.kernel.rtnetlink.socket import NETLINK_SOCK_DIAG, NetlinkSocket

_BY_FAMILY = 20
_NO_COOKIE = 0xFFFFFFFF
_PROTOCOLS = {"TCP": 6, "UDP": 17}


class Listening:
    """Asks in the namespace that the calling thread is in when it is made."""

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
