"""grpc probes: one call of grpc.health.v1.Health/Check over HTTP/2 in clear text, as a kubelet makes it.

By hand, because the agent lives on the standard library: one request on one stream needs seven kinds of frames (RFC
9113) and the reading of a few headers (``hpack``), 250 lines in all; the libraries would be larger than the agent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from urllib.parse import unquote

from netlab.runtime.agent.attempts import AGENT, FAILURE, SUCCESS, Attempt, Done, Spec
from netlab.runtime.agent.dial import Dialer
from netlab.runtime.agent.hpack import Decoder, literal

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_FRAME_MAX = 1 << 14
_UNIMPLEMENTED, _DEADLINE = 12, 4
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_CODES = ("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
          "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
          "Internal", "Unavailable", "DataLoss", "Unauthenticated")  # fmt: skip


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def request(authority: str, service: str, timeout: float) -> bytes:
    """All that is sent to begin with: the preface, the call's headers, its one message."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("user-agent", AGENT),
        ("te", "trailers"),
        ("grpc-timeout", f"{int(timeout * 1000)}m"),
    ]
    block = b"".join(literal(*one) for one in headers)
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    data = struct.pack(">BI", 0, len(message)) + message
    return (
        _PREFACE
        + frame(_SETTINGS, 0, 0, b"")
        + frame(_HEADERS, _END_HEADERS, 1, block)
        + frame(_DATA, _END_STREAM, 1, data)
    )


class GrpcAttempt(Attempt):
    """SERVING is good."""

    def __init__(self, dialer: Dialer, spec: Spec, done: Done) -> None:
        super().__init__(dialer, spec, done)
        self.buffer, self.body, self.block = b"", b"", b""
        self.headers: dict[str, str] = {}
        self.decoder = Decoder()
        self.talked = False
        self.last = 0  # whether the headers that are being read end the answer
        connection = self.dial(str(spec["host"]), str(spec["port"]))
        if connection is not None:
            asked = request(self.place, str(spec.get("service", "")), float(spec["timeout"]))
            connection.opened = lambda: connection.send(asked)
            connection.received = self.take

    def late(self) -> None:
        seconds = f"{self.spec['timeout']}s"
        if self.talked:
            self.end(FAILURE, f"timeout: health rpc did not complete within {seconds}")
        else:
            says = "context deadline exceeded"
            self.end(FAILURE, f'timeout: failed to connect service "{self.place}" within {seconds}: {says}')

    def failed(self, error: Exception, doing: str) -> None:
        says = f'connection error: desc = "transport: Error while dialing: {self.why(error, doing)}"'
        if doing != "dial":
            says = f"error reading from server: {self.why(error, doing)}"
        self.broken("Unavailable", says)

    def broken(self, code: str, says: str) -> None:
        self.end(FAILURE, f"error: health rpc probe failed: rpc error: code = {code} desc = {says}")

    def take(self, data: bytes) -> None:
        self.buffer += data
        try:
            for kind, flags, stream, payload in self._frames():
                self._frame(kind, flags, stream, payload)
                if self.ended:
                    return
        except (ValueError, IndexError, struct.error) as fault:
            self.broken("Unavailable", f"connection error: {fault}")
            return
        if not data:
            says = 'connection error: desc = "error reading server preface: EOF"'
            self.broken("Unavailable", "error reading from server: EOF" if self.talked else says)

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        while len(self.buffer) >= 9:
            length = int.from_bytes(self.buffer[:3], "big")
            kind, flags, stream = struct.unpack_from(">BBI", self.buffer, 3)
            if length > _FRAME_MAX or (not self.talked and kind != _SETTINGS):
                raise ValueError('desc = "error reading server preface: http2: frame too large"')
            if len(self.buffer) < 9 + length:
                return
            payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
            yield kind, flags, stream & 0x7FFFFFFF, payload

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        assert self.connection is not None
        if kind == _SETTINGS:
            self.talked = True
            if not flags & _ACK:
                self.connection.send(frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self.connection.send(frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            self.broken(
                "Unavailable", f"closing transport due to: GOAWAY, error code {int.from_bytes(payload[4:8], 'big')}"
            )
        elif stream == 1 and kind == _RST:
            self.broken(
                "Internal", f"stream terminated by RST_STREAM with error code: {int.from_bytes(payload, 'big')}"
            )
        elif stream == 1 and kind == _DATA:
            self.body += _bare(payload, flags, 0)
            if flags & _END_STREAM:
                self._judge()
        elif stream == 1 and kind in (_HEADERS, _CONTINUATION):
            self.last = flags & _END_STREAM if kind == _HEADERS else self.last
            self.block += _bare(payload, flags, 5 if flags & _PRIORITY else 0) if kind == _HEADERS else payload
            if flags & _END_HEADERS:
                self.headers.update(self.decoder.read(self.block))
                self.block = b""
                if self.last:
                    self._judge()

    def _judge(self) -> None:
        """The call is over."""
        status = self.headers.get(":status", "200")
        code = self.headers.get("grpc-status", "")
        said = unquote(self.headers.get("grpc-message", ""))
        if status != "200":
            self.broken("Unknown", f"unexpected HTTP status code received from server: {status}")
        elif code == str(_UNIMPLEMENTED):
            service = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            self.end(FAILURE, f"error: {service}: {said}")
        elif code == str(_DEADLINE):
            self.late()
        elif code != "0":
            number = int(code) if code.isdigit() else 13
            self.broken(
                _CODES[number] if number < len(_CODES) else f"Code({number})",
                said if code else "server closed the stream without sending trailers",
            )
        elif (serving := _serving(self.body)) == _STATUSES[1]:
            self.end(SUCCESS)
        else:
            self.end(FAILURE, f'service unhealthy (responded with "{serving}")')


def _bare(payload: bytes, flags: int, skipped: int) -> bytes:
    """A payload without its padding, and the ``skipped`` bytes of its priority."""
    if flags & _PADDED:
        return payload[1 + skipped : len(payload) - payload[0]]
    return payload[skipped:]


def _serving(body: bytes) -> str:
    """The status of a HealthCheckResponse: its field 1, a number; 0 is left out on the wire."""
    message = body[5 : 5 + int.from_bytes(body[1:5], "big")]
    number = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
    return _STATUSES[number] if number < len(_STATUSES) else str(number)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
