"""The SCTP responder for kernels that have SCTP: their own sockets, whose associations are the kernel's affair."""

from __future__ import annotations

import _socket
import re
from functools import partial
from typing import TYPE_CHECKING

from netlab.runtime.agent.face import Face, plain
from netlab.runtime.agent.responders.sctp import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.runtime.agent.loop import Loop

_FREEBIND = ((_socket.IPPROTO_IP, 15), (_socket.IPPROTO_IPV6, 78))  # IP_FREEBIND, IPV6_FREEBIND
_LINK_LOCAL = "20"  # the scope in /proc/net/if_inet6


class KernelSctp:
    """One port: a socket for all addresses, or one for each address where the namespace is a node's.

    The kernel answers from the address that its route to the client prefers, if the socket has it.  A Pod that came
    through a Service to a hostNetwork Pod of its own node would get the reply from the node's gateway address, which no
    translation of addresses knows.
    """

    def __init__(self, loop: Loop, families: Sequence[int], face: Face, addresses: list[str]) -> None:
        self.loop, self.face, self.addresses = loop, face, addresses
        self.sockets: list[_socket.socket] = []
        try:
            for family, address in _places(families):
                self._open(family, address)
        except OSError:
            self.close()
            raise

    def _open(self, family: int, address: str) -> None:
        sock = _socket.socket(family, _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK, PROTOCOL)
        self.sockets.append(sock)
        sock.setsockopt(*_FREEBIND[family == _socket.AF_INET6], 1)  # an address of IPv6 may still be tentative
        sock.bind((address, self.face.port))
        sock.listen(128)
        self.loop.add(sock.fileno(), partial(self._ready, sock))

    def close(self) -> None:
        for sock in self.sockets:
            self.loop.remove(sock.fileno())
            sock.close()

    def _ready(self, sock: _socket.socket, _mask: int) -> None:
        for _ in range(64):
            try:
                data, peer = sock.recvfrom(65535, _socket.MSG_DONTWAIT)
                if data and peer:
                    remote = plain(peer[0])
                    # an association has all addresses of its socket: take the address of the client's family
                    same = [address for address in self.addresses if (":" in address) == (":" in remote)]
                    line = self.face.line(same[0] if same else "", remote, peer[1], echo=data)
                    sock.sendto(line, _socket.MSG_DONTWAIT, peer)
            except OSError:  # no more, or an association that has ended
                return


def _places(families: Sequence[int]) -> list[tuple[int, str]]:
    """What to bind: all addresses at once, or each of them where a family has several."""
    own = {family: _v6() if family == _socket.AF_INET6 else _v4() for family in families}
    if all(len(addresses) < 2 for addresses in own.values()):
        wide = max(families)  # AF_INET6 takes both
        return [(wide, "::" if wide == _socket.AF_INET6 else "0.0.0.0")]
    loopback = {_socket.AF_INET: "127.0.0.1", _socket.AF_INET6: "::1"}
    return [(family, address) for family, names in own.items() for address in (loopback[family], *names)]


def _v4() -> list[str]:
    """The addresses of IPv4 in the current namespace but for the loopback's."""
    with open("/proc/thread-self/net/fib_trie", encoding="ascii") as stream:
        addresses = re.findall(r"-- (\S+)\n\s+/32 host LOCAL", stream.read())
    return [address for address in dict.fromkeys(addresses) if not address.startswith("127.")]


def _v6() -> list[str]:
    """The same of IPv6, but for those of a link alone."""
    with open("/proc/thread-self/net/if_inet6", encoding="ascii") as stream:
        rows = [line.split() for line in stream]
    numbers = [bytes.fromhex(row[0]) for row in rows if row[3] != _LINK_LOCAL]
    addresses = [_socket.inet_ntop(_socket.AF_INET6, number) for number in numbers]
    return [address for address in dict.fromkeys(addresses) if address != "::1"]
