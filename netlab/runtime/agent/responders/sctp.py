"""The SCTP responder for kernels without SCTP: the necessary part of RFC 9260 over raw sockets.

An INIT costs no memory here: the signed cookie returns all data of the association (RFC 9260, 5.1.3).  After
COOKIE-ECHO each complete message is acknowledged and gets the JSON line as its reply, which is retransmitted after 1, 2
and 4 seconds until it is acknowledged.
"""

from __future__ import annotations

import _socket
import hashlib
import hmac
import os
import struct
import time
from typing import TYPE_CHECKING

from netlab.runtime.agent.face import Face
from netlab.runtime.agent.responders.udp import Ancillary, local_address, want_local_address
from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from netlab.runtime.agent.loop import Loop

PROTOCOL = 132
DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK = range(9)
COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 10, 11, 14
STATE_COOKIE = 7
WINDOW = 65536
COOKIE_LIFE = 60.0  # seconds: RFC 9260's Valid.Cookie.Life
IDLE = 10.0
ASSOCIATIONS = 1024


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, reflected
        table.append(byte)
    return tuple(table)


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """The checksum of RFC 9260, appendix A (put into the packet with its low byte first)."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def chunk(kind: int, value: bytes = b"", flags: int = 0) -> bytes:
    """One chunk, padded to four bytes (which its length does not count)."""
    return struct.pack(">BBH", kind, flags, 4 + len(value)) + value + bytes(-len(value) % 4)


def packet(source: int, target: int, tag: int, *chunks: bytes) -> bytes:
    """A whole SCTP packet, checksum and all."""
    head = struct.pack(">HHI", source, target, tag)
    rest = b"".join(chunks)
    return head + struct.pack("<I", crc32c(head + bytes(4) + rest)) + rest


def chunks_of(data: bytes) -> list[tuple[int, int, bytes]]:
    """(type, flags, value) of each whole chunk; what is cut off is left out."""
    chunks, at = [], 12
    while at + 4 <= len(data):
        kind, flags, length = struct.unpack_from(">BBH", data, at)
        if length < 4 or at + length > len(data):
            break
        chunks.append((kind, flags, data[at + 4 : at + length]))
        at += length + (-length % 4)
    return chunks


class Peer(NamedTuple):
    """One end of an association, seen from the other."""

    local: str
    port: int
    remote: str
    remote_port: int


class Association:
    """The state of an established association; TSNs count modulo 2**32."""

    __slots__ = ("face", "message", "peer_tag", "peer_tsn", "seen", "sent", "source", "stream", "tag", "tries", "tsn")

    def __init__(self, face: Face, source: Ancillary, peer_tag: int, tag: int, peer_tsn: int, tsn: int) -> None:
        self.face, self.source, self.peer_tag, self.tag = face, source, peer_tag, tag
        self.peer_tsn, self.tsn = (peer_tsn - 1) & 0xFFFFFFFF, tsn
        self.message = b""
        self.stream: dict[int, int] = {}
        self.sent = b""  # the DATA chunk that has not been acknowledged
        self.tries, self.seen = 0, time.monotonic()


class RawSctp:
    """One namespace's raw socket of one family and the ports served there."""

    def __init__(self, loop: Loop, family: int) -> None:
        self.loop, self.family = loop, family
        self.faces: dict[int, Face] = {}
        self.associations: dict[Peer, Association] = {}
        self.key = os.urandom(16)
        self.sock = _socket.socket(family, _socket.SOCK_RAW | _socket.SOCK_NONBLOCK, PROTOCOL)
        want_local_address(self.sock, family)
        loop.add(self.sock.fileno(), self.ready)
        loop.tickers.append(self.tick)

    def close(self) -> None:
        self.loop.remove(self.sock.fileno())
        self.loop.tickers.remove(self.tick)
        self.sock.close()

    def ready(self, _mask: int) -> None:
        for _ in range(64):
            try:
                data, ancillary, _flags, address = self.sock.recvmsg(65535, 64, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                continue
            if self.family == _socket.AF_INET:  # the raw IPv4 socket alone delivers the IP header
                data = data[(data[0] & 15) * 4 :]
            local, source = local_address(ancillary)
            if len(data) >= 16 and struct.unpack_from("<I", data, 8)[0] == crc32c(data[:8] + bytes(4) + data[12:]):
                remote_port, port = struct.unpack_from(">HH", data)
                self.take(Peer(local, port, address[0], remote_port), source, data)

    def send(self, peer: Peer, source: Ancillary, tag: int, *chunks: bytes) -> None:
        data = packet(peer.port, peer.remote_port, tag, *chunks)
        try:  # a raw IPv6 socket takes no port but 0
            self.sock.sendmsg([data], source, _socket.MSG_DONTWAIT, (peer.remote, 0))
        except OSError:
            pass

    def take(self, peer: Peer, source: Ancillary, data: bytes) -> None:
        """One packet whose checksum is right."""
        (tag,) = struct.unpack_from(">I", data, 4)
        chunks = chunks_of(data)
        if not chunks:
            return
        first = chunks[0][0]
        face = self.faces.get(peer.port)
        if first == INIT:
            self.init(peer, source, tag, chunks[0][2], face)
            return
        if face is None:  # perhaps another program's port: only an INIT asks for a listener
            return
        if first == COOKIE_ECHO:
            self.cookie_echo(peer, source, tag, chunks[0][2], face)
            chunks = chunks[1:]
        association = self.associations.get(peer)
        if association is None or tag != association.tag:
            if association is None:
                self.out_of_the_blue(peer, source, tag, first)
            elif first in (ABORT, SHUTDOWN_COMPLETE) and chunks[0][1] & 1 and tag == association.peer_tag:
                del self.associations[peer]
            return
        association.seen = time.monotonic()
        self.established(peer, association, chunks)

    def out_of_the_blue(self, peer: Peer, source: Ancillary, tag: int, first: int) -> None:
        """RFC 9260, 8.4: a packet of no association, reflected with its own tag and the T bit."""
        if first == SHUTDOWN_ACK:
            self.send(peer, source, tag, chunk(SHUTDOWN_COMPLETE, flags=1))
        elif first not in (ABORT, SHUTDOWN_COMPLETE, COOKIE_ACK, COOKIE_ECHO):
            self.send(peer, source, tag, chunk(ABORT, flags=1))

    def init(self, peer: Peer, source: Ancillary, tag: int, value: bytes, face: Face | None) -> None:
        if len(value) < 16 or tag != 0:
            return
        peer_tag, _window, out_streams, in_streams, peer_tsn = struct.unpack_from(">IIHHI", value)
        if face is None or not (peer_tag and out_streams and in_streams):
            self.send(peer, source, peer_tag, chunk(ABORT))
            return
        my_tag = int.from_bytes(os.urandom(4), "big") or 1
        my_tsn = int.from_bytes(os.urandom(4), "big")
        state = struct.pack(">IIIId", peer_tag, my_tag, peer_tsn, my_tsn, time.monotonic())
        cookie = state + self.sign(peer, state)
        parameter = struct.pack(">HH", STATE_COOKIE, 4 + len(cookie)) + cookie
        streams = min(in_streams, 10)
        reply = struct.pack(">IIHHI", my_tag, WINDOW, streams, min(out_streams, 2048), my_tsn) + parameter
        self.send(peer, source, peer_tag, chunk(INIT_ACK, reply))

    def sign(self, peer: Peer, state: bytes) -> bytes:
        return hmac.digest(self.key, repr(peer).encode() + state, hashlib.sha256)[:16]

    def cookie_echo(self, peer: Peer, source: Ancillary, tag: int, cookie: bytes, face: Face) -> None:
        if len(cookie) != 40 or not hmac.compare_digest(cookie[24:], self.sign(peer, cookie[:24])):
            return
        peer_tag, my_tag, peer_tsn, my_tsn, made = struct.unpack(">IIIId", cookie[:24])
        if tag != my_tag or time.monotonic() - made > COOKIE_LIFE:
            return
        association = self.associations.get(peer)
        if association is None or association.tag != my_tag:
            if len(self.associations) >= ASSOCIATIONS:
                self.associations.pop(next(iter(self.associations)))
            self.associations[peer] = Association(
                face, source, peer_tag=peer_tag, tag=my_tag, peer_tsn=peer_tsn, tsn=my_tsn
            )
        self.send(peer, source, peer_tag, chunk(COOKIE_ACK))

    def established(self, peer: Peer, a: Association, chunks: list[tuple[int, int, bytes]]) -> None:
        reply: list[bytes] = []
        got_data = False
        for kind, flags, value in chunks:
            if kind == DATA and len(value) >= 12:
                got_data = True
                line = self.data(peer, a, flags, value)
                if line:
                    reply.append(line)
            elif kind == SACK and len(value) >= 12:
                (acked,) = struct.unpack_from(">I", value)
                if a.sent and acked == (a.tsn - 1) & 0xFFFFFFFF:
                    a.sent = b""
            elif kind == HEARTBEAT:
                reply.append(chunk(HEARTBEAT_ACK, value))
            elif kind == SHUTDOWN:
                reply.append(chunk(SHUTDOWN_ACK))
                a.sent = b""
            elif kind == SHUTDOWN_ACK:
                self.send(peer, a.source, a.peer_tag, chunk(SHUTDOWN_COMPLETE))
                self.associations.pop(peer, None)
                return
            elif kind in (ABORT, SHUTDOWN_COMPLETE):
                self.associations.pop(peer, None)
                return
        if got_data:
            reply.insert(0, chunk(SACK, struct.pack(">IIHH", a.peer_tsn, WINDOW, 0, 0)))
        if reply:
            self.send(peer, a.source, a.peer_tag, *reply)

    def data(self, peer: Peer, a: Association, flags: int, value: bytes) -> bytes:
        """Take one DATA chunk in order; the chunk that answers it where it ends a message."""
        tsn, stream, _sequence, payload_protocol = struct.unpack_from(">IHHI", value)
        if tsn != (a.peer_tsn + 1) & 0xFFFFFFFF:  # a repetition: our SACK was lost; or a gap: the peer sends again
            return a.sent
        a.peer_tsn = tsn
        a.message = (b"" if flags & 2 else a.message) + value[12:]
        a.message = a.message[:WINDOW]
        if not flags & 1:
            return b""
        line = a.face.line(peer.local, peer.remote, peer.remote_port, echo=a.message)
        number = a.stream.get(stream, 0)
        if len(a.stream) < 64:
            a.stream[stream] = (number + 1) & 0xFFFF
        a.sent = chunk(DATA, struct.pack(">IHHI", a.tsn, stream, number, payload_protocol) + line, flags=3)
        a.tsn, a.tries, a.message = (a.tsn + 1) & 0xFFFFFFFF, 0, b""
        return a.sent

    def tick(self, now: float) -> bool:
        for peer, a in list(self.associations.items()):
            if a.sent and a.tries < 3 and now - a.seen > 2**a.tries:
                a.tries += 1
                self.send(peer, a.source, a.peer_tag, a.sent)
            elif now - a.seen > IDLE:
                self.send(peer, a.source, a.peer_tag, chunk(ABORT))
                del self.associations[peer]
        return bool(self.associations)
