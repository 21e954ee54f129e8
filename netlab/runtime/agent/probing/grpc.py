"""grpc probes: one call of grpc.health.v1.Health/Check over HTTP/2 in clear text, as a kubelet makes it.

The agent lives on the standard library, so a helper process with the library h2 (``grpchelper``) reads and writes the
frames.  It starts with the first grpc probe and ends with the agent.  The connection itself stays the agent's.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
from base64 import b64decode, b64encode
from pathlib import Path

from netlab.runtime.agent.probing.attempts import AGENT, FAILURE, Attempt, Done, Spec
from netlab.runtime.agent.probing.dial import Dialer

_HELPER = str(Path(__file__).with_name("grpchelper.py"))


class Helper:
    """The helper process: a line of JSON with ``id`` for each step of a call, both ways."""

    def __init__(self, dialer: Dialer) -> None:
        self.dialer, self.calls, self._number, self._rest = dialer, dict[int, GrpcAttempt](), 0, b""
        read, write = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, read[0], 0), (os.POSIX_SPAWN_DUP2, write[1], 1)]
        # -I alone, without the agent's -S: the helper needs site-packages.
        os.posix_spawn(sys.executable, [sys.executable, "-I", _HELPER], os.environ, file_actions=actions)
        os.close(read[0])
        os.close(write[1])
        self._out, self._in = read[1], write[0]
        dialer.loop.add(self._in, self._ready, select.EPOLLIN)

    def begin(self, call: GrpcAttempt) -> int:
        """The number of a new call."""
        self._number += 1
        self.calls[self._number] = call
        return self._number

    def send(self, number: int, **step: object) -> None:
        """Send a step of a call; OSError if the helper is gone."""
        os.write(self._out, json.dumps({"id": number, **step}).encode() + b"\n")

    def _ready(self, _mask: int) -> None:
        data = os.read(self._in, 65536)
        if not data:
            self.dialer.loop.remove(self._in)
            os.close(self._in)
            os.close(self._out)
            del self.dialer.helpers["grpc"]
            for call in list(self.calls.values()):
                call.broken("Unavailable", "netlab's gRPC helper has ended")
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            step = json.loads(line)
            if step["id"] in self.calls:
                self.calls[step["id"]].step(step)


class GrpcAttempt(Attempt):
    """grpc: SERVING succeeds."""

    def __init__(self, dialer: Dialer, spec: Spec, done: Done) -> None:
        super().__init__(dialer, spec, done)
        self.number, self.talked = 0, False
        self.helper: Helper = dialer.helpers.get("grpc") or Helper(dialer)
        dialer.helpers["grpc"] = self.helper
        connection = self.dial(str(spec["host"]), str(spec["port"]))
        if connection is not None:
            self.number = self.helper.begin(self)
            connection.opened = self.ask
            connection.received = self.take

    def ask(self) -> None:
        """Pass the request to the helper process."""
        service, timeout = str(self.spec.get("service", "")), float(self.spec["timeout"])
        self.helper.send(self.number, authority=self.endpoint, service=service, timeout=timeout, agent=AGENT)

    def take(self, data: bytes) -> None:
        """Pass data of the server to the helper process; ``b""`` is the end."""
        if data:
            self.helper.send(self.number, received=b64encode(data).decode())
            return
        preface = 'connection error: desc = "error reading server preface: EOF"'
        self.broken("Unavailable", "error reading from server: EOF" if self.talked else preface)

    def step(self, step: Spec) -> None:
        """The helper's reply: bytes to send, whether the server has spoken HTTP/2, and how the call ended."""
        self.talked = self.talked or bool(step.get("talked"))
        if self.connection is not None and step.get("send"):
            self.connection.send(b64decode(step["send"]))
        if step.get("late"):
            self.late()
        elif step.get("result"):
            self.end(step["result"], step["message"])

    def stop(self) -> None:
        if self.helper.calls.pop(self.number, None) is not None and not self.ended:
            with contextlib.suppress(OSError):  # a helper that is gone has forgotten it
                self.helper.send(self.number, forget=True)
        super().stop()

    def late(self) -> None:
        seconds = f"{self.spec['timeout']}s"
        if self.talked:
            self.end(FAILURE, f"timeout: health rpc did not complete within {seconds}")
        else:
            reason = "context deadline exceeded"
            self.end(FAILURE, f'timeout: failed to connect service "{self.endpoint}" within {seconds}: {reason}')

    def failed(self, error: Exception, doing: str) -> None:
        if doing == "dial":
            text = f'connection error: desc = "transport: Error while dialing: {self.why(error, doing)}"'
        else:
            text = f"error reading from server: {self.why(error, doing)}"
        self.broken("Unavailable", text)

    def broken(self, code: str, text: str) -> None:
        """The call failed before the server replied to it."""
        self.end(FAILURE, f"error: health rpc probe failed: rpc error: code = {code} desc = {text}")
