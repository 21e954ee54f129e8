"""The UDP responder: each reply comes from the datagram's target address."""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING

from netlab.runtime.agent.face import Face, plain

if TYPE_CHECKING:
    from netlab.runtime.agent.loop import Loop

IP_PKTINFO = 8  # linux/in.h
IPV6_RECVPKTINFO, IPV6_PKTINFO = 49, 50  # linux/in6.h
_OURS = b'{"pod": '  # a datagram that starts like our replies: replying could loop for ever
Ancillary = list[tuple[int, int, bytes]]


def want_local_address(sock: _socket.socket, family: int) -> None:
    """Ask for the destination address of each packet, as ``local_address`` reads it."""
    if family == _socket.AF_INET6:
        sock.setsockopt(_socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(_socket.IPPROTO_IP, IP_PKTINFO, 1)


def local_address(ancillary: Ancillary) -> tuple[str, Ancillary]:
    """The local address of a received packet, and the ancillary data for a reply from there.

    For IPv4 that is ``ipi_spec_dst``, which is local even for a broadcast.  The routes choose the interface, except for
    IPv6 link-local addresses, which need it.
    """
    for level, kind, data in ancillary:
        if level == _socket.IPPROTO_IP and kind == IP_PKTINFO:
            source = data[4:8]
            return _socket.inet_ntop(_socket.AF_INET, source), [(level, kind, bytes(4) + source + bytes(4))]
        if level == _socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO:
            address = _socket.inet_ntop(_socket.AF_INET6, data[:16])
            index = data[16:20] if address.startswith("fe80") else bytes(4)
            return plain(address), [(level, kind, data[:16] + index)]
    return "", []


class Udp:
    """All UDP listeners of the agent."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop

    def open(self, family: int, face: Face, *, only6: bool, bound: str = "") -> _socket.socket:
        sock = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK)
        try:
            if family == _socket.AF_INET6:
                sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, int(only6))
            want_local_address(sock, family)
            sock.bind((bound or ("::" if family == _socket.AF_INET6 else "0.0.0.0"), face.port))
        except OSError:
            sock.close()
            raise
        return sock

    def serve(self, sock: _socket.socket, face: Face) -> None:
        def ready(_mask: int) -> None:
            for _ in range(64):
                try:
                    data, ancillary, _flags, peer = sock.recvmsg(65535, 64, _socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return
                except OSError:  # an ICMP error about an earlier reply
                    continue
                if data.startswith(_OURS):
                    continue
                address, source = local_address(ancillary)
                line = face.line(address, plain(peer[0]), peer[1], echo=data)
                try:
                    sock.sendmsg([line], source, _socket.MSG_DONTWAIT, peer)
                except OSError:  # no route back, a full queue: UDP promises nothing
                    pass

        self.loop.add(sock.fileno(), ready)
