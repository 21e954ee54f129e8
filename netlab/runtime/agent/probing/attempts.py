"""An attempt of a probe over the network: httpGet and tcpSocket.  Results and messages are the kubelet's.

An attempt calls ``done`` once, with a message and SUCCESS, FAILURE, WARNING (a success with a notice) or UNKNOWN (the
kubelet discards such an attempt).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from netlab.runtime.agent.probing.dial import Connection, Dialer, NotTls, joined, words

SUCCESS, FAILURE, WARNING, UNKNOWN = "success", "failure", "warning", "unknown"
AGENT = "kube-probe/1.34"
BODY_MAX = 10 * 1024  # bytes of a body, or of a command's output, that a kubelet reads
_HEAD_MAX = 1 << 20  # Go's
_REDIRECTS_MAX = 10

Done = Callable[[str, str], None]
Spec = Mapping[str, Any]


class Attempt:
    """The common part: it ends once, with a result, at its timeout, or by ``stop``."""

    def __init__(self, dialer: Dialer, spec: Spec, done: Done) -> None:
        self.dialer, self.spec, self._done = dialer, spec, done
        self.connection: Connection | None = None
        self.ended = False
        self.timer = dialer.loop.later(float(spec["timeout"]), self.late)

    def end(self, result: str, message: str = "") -> None:
        if not self.ended:
            self.stop()
            self._done(result, message)

    def stop(self) -> None:
        """Cancel without a result."""
        self.ended = True
        self.timer.cancel()
        if self.connection is not None:
            self.connection.close()

    def late(self) -> None:
        """The timeout."""
        self.end(FAILURE, f"dial tcp {self.endpoint}: i/o timeout")

    @property
    def endpoint(self) -> str:
        return joined(str(self.spec["host"]), str(self.spec["port"]))

    def dial(self, host: str, port: str, *, tls: bool = False) -> Connection | None:
        """A connection; None if the attempt has ended without one."""
        try:
            number = int(port)
        except ValueError:
            self.end(UNKNOWN, f'strconv.Atoi: parsing "{port}": invalid syntax')
            return None
        address = self.dialer.resolve(str(self.spec["netns"]), host)
        try:
            if not address:
                raise OSError(0, f"lookup {host}: no such host")
            self.connection = self.dialer.connect(str(self.spec["netns"]), address, number, tls=tls)
        except OSError as refusal:
            self.failed(refusal, "dial")
            return None
        self.connection.failed = self.failed
        return self.connection

    def failed(self, error: Exception, doing: str) -> None:
        self.end(FAILURE, self.why(error, doing))

    def why(self, error: Exception, doing: str) -> str:
        """An error in Go's form: operation, addresses, system call, the errno's text."""
        if isinstance(error, NotTls):
            return "http: server gave HTTP response to HTTPS client"
        number = error.errno if isinstance(error, OSError) else 0
        if doing == "tls" or not number:
            return f"{'dial tcp: ' if doing == 'dial' else ''}{getattr(error, 'strerror', None) or error}"
        where = self.endpoint
        if self.connection is not None:
            ends = joined(self.connection.host, self.connection.port)
            where = ends if doing == "dial" else self.connection.ends
        call = {"dial": "connect"}.get(doing, doing)
        return f"{doing} tcp {where}: {call}: {words(number)}"


class TcpAttempt(Attempt):
    """tcpSocket: the connection is enough."""

    def __init__(self, dialer: Dialer, spec: Spec, done: Done) -> None:
        super().__init__(dialer, spec, done)
        connection = self.dial(str(spec["host"]), str(spec["port"]))
        if connection is not None:
            connection.opened = lambda: self.end(SUCCESS)


class HttpAttempt(Attempt):
    """httpGet: 200 to 399 succeeds.  At most ten redirects on the same host are followed; a redirect to another host
    ends the attempt as a success with a warning.
    """

    def __init__(self, dialer: Dialer, spec: Spec, done: Done) -> None:
        super().__init__(dialer, spec, done)
        path = str(spec["path"])
        self.url = f"{spec['scheme']}://{self.endpoint}{'' if path.startswith('/') else '/'}{path}"
        given = [(str(name), str(value)) for name, value in spec.get("headers", ())]
        self.host = next((value for name, value in given if name.lower() == "host"), "")
        self.headers = [header for header in given if header[0].lower() != "host"]
        named = {name.lower() for name, _ in given}
        self.headers += [("User-Agent", AGENT)] if "user-agent" not in named else []
        self.headers += [("Accept", "*/*")] if "accept" not in named else []
        self.followed = 0
        self.asked, self.buffer = "", b""
        self.head: Head | None = None
        self.ask(self.url)

    def ask(self, url: str) -> None:
        self.asked, self.buffer, self.head = url, b"", None
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        try:
            port = str(parts.port or (443 if tls else 80))
        except ValueError:  # a port name that the container lacks
            port = str(self.spec["port"])
        connection = self.dial(parts.hostname or "", port, tls=tls)
        if connection is None:
            return
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {self.host or parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers if value]
        request = "\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8", "replace")
        connection.opened = lambda: connection.send(request)
        connection.received = self.take

    def why(self, error: Exception, doing: str) -> str:
        return f'Get "{self.asked}": {super().why(error, doing)}'

    def late(self) -> None:
        if self.head is None:
            reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            self.end(FAILURE, f'Get "{self.asked}": {reason}')
        else:
            self.end(UNKNOWN, "context deadline exceeded (Client.Timeout or context cancellation while reading body)")

    def take(self, data: bytes) -> None:
        self.buffer += data
        while self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            size = 4
            if end < 0:
                end, size = self.buffer.find(b"\n\n"), 2
            if end < 0:
                self._no_head(ended=not data)
                return
            head = Head.read(self.buffer[:end])
            if head is None:
                self._malformed()
                return
            self.buffer = self.buffer[end + size :]
            if head.status >= 200 or head.status == 101:  # earlier heads are informational replies
                self.head = head
        if self.head.redirects and self._follow(self.head):
            return
        if not data or len(self.buffer) >= BODY_MAX or self.head.complete(self.buffer):
            self._judge(self.head)

    def _no_head(self, *, ended: bool) -> None:
        if self.buffer and not b"HTTP/".startswith(self.buffer[:5]) and (b"\n" in self.buffer or ended):
            self._malformed()
        elif ended:
            self.end(FAILURE, f'Get "{self.asked}": {"unexpected " if self.buffer else ""}EOF')
        elif len(self.buffer) > _HEAD_MAX:
            self.end(
                FAILURE, f'Get "{self.asked}": net/http: server response headers exceeded {_HEAD_MAX} bytes; aborted'
            )

    def _malformed(self) -> None:
        line = self.buffer.split(b"\n", 1)[0].rstrip(b"\r")[:64].decode("latin-1")
        reason = f"net/http: HTTP/1.x transport connection broken: malformed HTTP response {json.dumps(line)}"
        self.end(FAILURE, f'Get "{self.asked}": {reason}')

    def _follow(self, head: Head) -> bool:
        """Whether the redirect is followed, or cannot be."""
        where = urljoin(self.asked, head.location)
        if urlsplit(where).hostname != urlsplit(self.url).hostname:
            return False
        self.followed += 1
        if self.connection is not None:
            self.connection.close()
        if self.followed >= _REDIRECTS_MAX:
            self.end(FAILURE, f'Get "{where}": stopped after {_REDIRECTS_MAX} redirects')
        else:
            if urlsplit(head.location).netloc:  # the configured Host header is for its own host
                self.host = ""
            self.ask(where)
        return True

    def _judge(self, head: Head) -> None:
        if not 200 <= head.status < 400:
            self.end(FAILURE, f"HTTP probe failed with statuscode: {head.status}")
        elif head.status >= 300:
            body = self.buffer[:BODY_MAX].decode(errors="replace")
            self.end(WARNING, f"Probe terminated redirects, Response body: {body}")
        else:
            self.end(SUCCESS)


class Head:
    """A response's head: status, location, and the body's length (-1: chunked, -2: to the end)."""

    def __init__(self, status: int, location: str, length: int) -> None:
        self.status, self.location, self.length = status, location, length

    @classmethod
    def read(cls, raw: bytes) -> Head | None:
        """None if it is not HTTP."""
        lines = raw.decode("latin-1").split("\n")
        words_ = lines[0].split(None, 2)
        if len(words_) < 2 or not words_[0].startswith("HTTP/1.") or not (words_[1].isdigit() and len(words_[1]) == 3):
            return None
        status, location, length = int(words_[1]), "", -2
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            if name == "location":
                location = value
            elif name == "content-length" and value.isdigit() and length != -1:
                length = int(value)
            elif name == "transfer-encoding" and "chunked" in value.lower():
                length = -1
        if status in (204, 304):
            length = 0
        return cls(status, location, length)

    @property
    def redirects(self) -> bool:
        return self.status in (301, 302, 303, 307, 308) and bool(self.location)

    def complete(self, body: bytes) -> bool:
        """Whether the body is complete."""
        if self.length == -1:
            return body == b"0\r\n\r\n" or body.endswith(b"\r\n0\r\n\r\n")
        return 0 <= self.length <= len(body)
