"""A probe that sends a packet as the user wrote it, instead of a packet of the kernel's own stack.

A packet that begins with IP goes through a raw socket. The kernel routes it, and its output hooks judge it. For IPv4
the kernel writes length and checksum, and source and identification where they are 0. A packet that begins with
Ethernet leaves by eth0 unchanged. The sender has no socket for such a packet, so its kernel answers a SYN-ACK with a
reset.
"""

from __future__ import annotations

import contextlib
import errno
import random
import select
import socket
from typing import Any

from netlab.errors import BadInput
from netlab.observe.trace.probes import OPEN, REFUSED, UNREACHABLE, Probe

_ICMP_ERRORS = {False: (3, 11, 12), True: (1, 2, 3, 4)}
_ECHO_REPLY = {False: 0, True: 129}
_PORT_UNREACHABLE = {False: b"\3\3", True: b"\1\4"}
_RST = 0x04
_LINK = "eth0"  # the way out of every Pod, node and outside host


def aim(packet: Any) -> tuple[str, bool]:
    """Where a packet goes, as ``trace`` takes a target, and whether it is ICMP.  Raises BadInput for what trace cannot follow."""
    network, head = _parts(packet)
    protocol = _protocol(head)
    if protocol == "ICMP":
        return network.dst, True
    address = f"[{network.dst}]" if ":" in network.dst else network.dst
    return f"{address}:{head.dport}/{protocol}", False


def _parts(packet: Any) -> tuple[Any, Any]:
    """The IP layer, and the transport or ICMP layer that trace knows the packet by."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6, _ICMPv6

    network = packet.getlayer(IP) or packet.getlayer(IPv6)
    head = next((part for part in network.iterpayloads() if isinstance(part, TCP | UDP | ICMP | _ICMPv6)), None)
    if head is None:
        raise BadInput("--packet: trace follows TCP, UDP and ICMP, and this packet has none of them")
    return network, head


def _protocol(head: Any) -> str:
    return head.name if head.name in ("TCP", "UDP") else "ICMP"


class CraftedProbe(Probe):
    """``packet``: a scapy packet of ``expression.parse``.  Made in the sender's namespace."""

    def __init__(self, packet: Any) -> None:
        self._packet, (self._ip, self._head) = packet, _parts(packet)
        v6, self.protocol = self._ip.version == 6, _protocol(self._head)
        head = self._head
        df = not v6 and "DF" in str(self._ip.flags)
        super().__init__(self._ip.dst, 0 if self.protocol == "ICMP" else head.dport, len(bytes(head.payload)), df=df)

    def _open(self) -> None:
        self._source()
        self._mark()
        self.local, self.local_port = str(self._ip.src), 0 if self.protocol == "ICMP" else self._head.sport
        number = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP}.get(self.protocol, 0)
        icmp = socket.IPPROTO_ICMPV6 if self.v6 else socket.IPPROTO_ICMP
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._epoll = select.epoll()  # two sockets listen, and a probe has one descriptor
        self._replies = socket.socket(self._family, kind, number) if number else None
        self._errors = socket.socket(self._family, kind, icmp)
        self.sock = self._errors
        for sock in (self._replies, self._errors):
            if sock is not None:
                self._epoll.register(sock, select.EPOLLIN)
        self._to: tuple[str, int] | None = None
        if self._packet is self._ip:
            self._to = (self.address, 0)
            self._out = socket.socket(self._family, kind, socket.IPPROTO_RAW)  # with the header that we write
        else:
            self._out = socket.socket(socket.AF_PACKET, kind)
            self._out.bind((_LINK, 0))
            if self._packet.fields.get("src") is None and "src" in self._packet.default_fields:
                self._packet.src = self._out.getsockname()[4].hex(":")

    def _source(self) -> None:
        """The kernel's choice where the expression names no source: scapy would read the routes of another namespace."""
        if self._ip.fields.get("src") is None:
            with socket.socket(self._family, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
                asking.connect((self.address, 9))
                self._ip.src = asking.getsockname()[0]
        if self._ip.fields.get("src") is None:
            self._ip.src = "::" if self.v6 else "0.0.0.0"

    def _mark(self) -> None:
        """Have the packet carry what tells it from all others, where the expression leaves that open."""
        head = self._head
        if self.protocol == "TCP":
            if head.fields.get("seq") is None:
                head.seq = self.number
            self.number = int(head.seq)
            if head.fields.get("sport") is None:
                head.sport = random.randrange(32768, 60999)
            return
        if self.protocol == "UDP" and head.fields.get("sport") is None:
            head.sport = random.randrange(32768, 60999)
        data = bytes(head.payload)
        if len(data) < 4:
            head.remove_payload()
            head.add_payload(data + self.number.to_bytes(4, "big")[len(data) :])
            data = bytes(head.payload)
        self.size, self.number = len(data), int.from_bytes(data[:4], "big")

    def fileno(self) -> int:
        return self._epoll.fileno()

    def close(self) -> None:
        for each in (self._epoll, self._out, self._errors, self._replies):
            if each is not None:
                each.close()

    def send(self) -> None:
        try:
            if self._to is None:
                self._out.send(bytes(self._packet))
            else:
                self._out.sendto(bytes(self._ip), self._to)
        except OSError as error:
            self._failed(error.errno)

    def ready(self, mask: int) -> None:
        for sock in (self._replies, self._errors):
            while sock is not None and not self.done:
                try:
                    data = sock.recv(65535)
                except OSError:
                    break
                self._read(data if self.v6 else data[(data[0] & 15) * 4 :], errors=sock is self._errors)

    def _read(self, data: bytes, *, errors: bool) -> None:
        """A segment, a datagram or an ICMP message that came to the sender's namespace."""
        mark = self.number.to_bytes(4, "big")
        if not errors:
            sport, dport = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
            if (sport, dport) == (self.port, self.local_port):
                self._ended(REFUSED if self.protocol == "TCP" and data[13] & _RST else OPEN)
        elif data[:1] == bytes([_ECHO_REPLY[self.v6]]) and self.protocol == "ICMP" and data[8:12] == mark:
            self._ended(OPEN)
        elif data and data[0] in _ICMP_ERRORS[self.v6] and mark in data[8:]:
            refused = data[:2] == _PORT_UNREACHABLE[self.v6]
            self._ended(REFUSED if refused else UNREACHABLE, errno.errorcode[errno.ECONNREFUSED] if refused else "")

    def _ended(self, outcome: str, error: str = "") -> None:
        self.done, self.outcome, self.error = True, outcome, error
