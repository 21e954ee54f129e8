"""The process that speaks HTTP/2 for grpc probes: h2 on the two ends of a pipe.  Run as a script by ``grpc``.

A line of JSON in is a step of a call: its request to be written, or bytes that the server sent.  A line out has bytes
to send, whether the server has spoken HTTP/2 (``talked``), and at the end the probe's ``result`` and ``message``.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import unquote

from h2 import events
from h2.connection import H2Connection
from h2.exceptions import ProtocolError

_UNIMPLEMENTED, _DEADLINE = 12, 4
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")  # HealthCheckResponse.ServingStatus
_CODES = ("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
          "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
          "Internal", "Unavailable", "DataLoss", "Unauthenticated")  # fmt: skip
Reply = dict[str, Any]


class Call:
    """One call of Health/Check on a connection of its own."""

    def __init__(self, request: Reply) -> None:
        self.h2, self.body, self.headers, self.talked = H2Connection(), b"", dict[str, str](), False
        self.h2.initiate_connection()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check")]
        headers += [(":authority", request["authority"]), ("content-type", "application/grpc")]
        headers += [("user-agent", request["agent"]), ("te", "trailers")]
        headers += [("grpc-timeout", f"{int(request['timeout'] * 1000)}m")]
        name = request["service"].encode()
        message = b"\x0a" + _varint(len(name)) + name if name else b""
        self.h2.send_headers(1, headers)
        self.h2.send_data(1, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)

    def received(self, data: bytes) -> Reply:
        """Read bytes of the server's."""
        reply: Reply = {}
        try:
            for event in self.h2.receive_data(data):
                reply = self._event(event) or reply
        except ProtocolError:
            reply = _broken(
                "Unavailable", 'connection error: desc = "error reading server preface: http2: frame too large"'
            )
        return reply | {"talked": self.talked}

    def _event(self, event: events.Event) -> Reply | None:
        if isinstance(event, events.RemoteSettingsChanged):
            self.talked = True
        elif isinstance(event, events.ResponseReceived | events.TrailersReceived):
            self.headers |= {_text(name): _text(value) for name, value in event.headers or ()}
        elif isinstance(event, events.DataReceived):
            self.body += event.data or b""
            self.h2.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        elif isinstance(event, events.StreamEnded):
            return self._judge()
        elif isinstance(event, events.StreamReset):
            return _broken("Internal", f"stream terminated by RST_STREAM with error code: {int(event.error_code or 0)}")
        elif isinstance(event, events.ConnectionTerminated):
            code = int(event.error_code or 0)
            return _broken("Unavailable", f"closing transport due to: GOAWAY, error code {code}")
        return None

    def _judge(self) -> Reply:
        """The result of a call that the server has ended, in the kubelet's words."""
        status, code = self.headers.get(":status", "200"), self.headers.get("grpc-status", "")
        text = unquote(self.headers.get("grpc-message", ""))
        if status != "200":
            return _broken("Unknown", f"unexpected HTTP status code received from server: {status}")
        if code == str(_UNIMPLEMENTED):
            lacks = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return {"result": "failure", "message": f"error: {lacks}: {text}"}
        if code == str(_DEADLINE):
            return {"late": True}
        if code != "0":
            number = int(code) if code.isdigit() else 13
            name = _CODES[number] if number < len(_CODES) else f"Code({number})"
            return _broken(name, text if code else "server closed the stream without sending trailers")
        if (serving := _serving(self.body)) == _STATUSES[1]:
            return {"result": "success", "message": ""}
        return {"result": "failure", "message": f'service unhealthy (responded with "{serving}")'}


def _broken(code: str, text: str) -> Reply:
    message = f"error: health rpc probe failed: rpc error: code = {code} desc = {text}"
    return {"result": "failure", "message": message}


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


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


def main() -> None:
    """Serve until the agent closes the pipe."""
    calls: dict[int, Call] = {}
    for line in sys.stdin.buffer:
        step = json.loads(line)
        number = step["id"]
        if "forget" in step:
            calls.pop(number, None)
            continue
        reply: Reply = {}
        if "received" not in step:
            calls[number] = Call(step)
        elif number in calls:
            reply = calls[number].received(b64decode(step["received"]))
        else:
            continue
        reply["send"] = b64encode(calls[number].h2.data_to_send()).decode()
        if "result" in reply:
            del calls[number]
        sys.stdout.write(json.dumps({"id": number, **reply}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
