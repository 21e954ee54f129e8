"""The control socket: newline JSON, a reply for each message, in order; descriptors travel by SCM_RIGHTS.

    {"v": 2, "op": "listen", "endpoints": [...]}      -> {"v": 2, "ok": true, "opened": 3, "errors": [...]}
    an operation that fails                           -> {"v": 2, "ok": false, "error": "a sentence"}

Operations: hello (ping), listen, unlisten, listeners, sandbox, run, stop, terminate, processes, changes, attach, statuses, acknowledge,
times, settle, drop, quit.  ``agentclient`` documents them.
"""

from __future__ import annotations

import _socket
import array
import json
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any

from netlab.runtime.agent import VERSION
from netlab.runtime.agent.containers import endings
from netlab.runtime.agent.containers.logs import Logs
from netlab.runtime.agent.containers.sandbox import Sandboxes, SandboxKey
from netlab.runtime.agent.containers.streams import attach
from netlab.runtime.agent.containers.supervisor import Supervisor
from netlab.runtime.agent.loop import Loop
from netlab.runtime.agent.podstate import PodKey
from netlab.runtime.agent.responders.endpoints import Endpoints, Port
from netlab.runtime.agent.statuses import Statuses

MESSAGE_LIMIT = 64 << 20  # 5,000 Pods with every port are about 2 MB
Message = dict[str, Any]


class Client:
    """A connection; replies keep the order of the messages even if a reply (sandbox, stop, settle) is delayed."""

    def __init__(self, control: Control, sock: _socket.socket) -> None:
        self.control, self.sock, self.fd = control, sock, sock.fileno()
        self.buffer = bytearray()
        self.out: list[tuple[bytes, list[int]]] = []
        self.busy = False
        control.loop.add(self.fd, self.ready)

    def ready(self, mask: int) -> None:
        try:
            if mask & select.EPOLLOUT:
                self.flush()
            if mask & ~select.EPOLLOUT:
                data = self.sock.recv(1 << 20, _socket.MSG_DONTWAIT)
                if not data or len(self.buffer) > MESSAGE_LIMIT:
                    self.close()
                    return
                self.buffer += data
                self.work()
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def work(self) -> None:
        while not self.busy:
            end = self.buffer.find(b"\n")
            if end < 0:
                return
            line = bytes(self.buffer[:end])
            del self.buffer[: end + 1]
            self.busy = True
            self.control.take(line, self.reply)

    def reply(self, message: Message, fds: list[int]) -> None:
        self.busy = False
        if self.sock.fileno() < 0:  # the client has gone while its sandbox was made
            return
        body = {"v": VERSION, "ok": "error" not in message, **message}
        self.out.append((json.dumps(body).encode() + b"\n", [os.dup(fd) for fd in fds]))
        try:
            self.flush()
            self.work()
        except OSError:
            self.close()

    def flush(self) -> None:
        while self.out:
            data, fds = self.out[0]
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                sent = self.sock.sendmsg([data], rights, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self.control.loop.change(self.fd, select.EPOLLIN | select.EPOLLOUT)
                return
            for fd in fds:
                os.close(fd)
            if sent < len(data):
                self.out[0] = (data[sent:], [])
            else:
                self.out.pop(0)
        self.control.loop.change(self.fd, select.EPOLLIN)

    def close(self) -> None:
        if self.sock.fileno() < 0:
            return
        self.control.loop.remove(self.fd)
        for _data, fds in self.out:
            for fd in fds:
                os.close(fd)
        self.out.clear()
        self.sock.close()


class Control:
    """Executes messages; a bad message never ends the agent."""

    def __init__(self, loop: Loop, lab: str, sock: _socket.socket, root: int, mounts: int, rundir: str) -> None:
        self.loop, self.lab, self.sock = loop, lab, sock
        self.since = time.time()
        self.endpoints = Endpoints(loop, root)
        self.sandboxes = Sandboxes(loop, self.endpoints)
        self.statuses = Statuses(loop, lab, mounts)
        self.supervisor = Supervisor(loop, self.sandboxes, Logs(loop, root, rundir), self.statuses)
        self.operations: dict[str, Callable[[Message], Message]] = {
            "hello": self.hello,
            "ping": self.hello,
            "listen": self.listen,
            "unlisten": self.unlisten,
            "report": self.report,
            "listeners": lambda _message: {"listeners": self.endpoints.listeners()},
            "run": lambda message: {"errors": self.supervisor.run(message["pods"])},
            "processes": lambda message: {"pods": self.supervisor.shown(events=bool(message.get("events")))},
            "statuses": lambda _message: self.statuses.shown(),
            "acknowledge": self.acknowledge,
            "times": lambda message: {"marks": self.supervisor.logs.times(str(message["log"]))},
            "terminate": lambda message: endings.terminate(self.supervisor, message["pods"]),
            "drop": self.drop,
            "quit": self.quit,
        }
        loop.add(sock.fileno(), self.accept)

    def accept(self, _mask: int) -> None:
        try:
            fd, _address = self.sock._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        _pid, uid, _gid = struct.unpack("3i", client.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()):  # the socket's mode forbids it as well
            client.close()
            return
        client.setblocking(False)
        Client(self, client)

    def take(self, line: bytes, reply: Callable[[Message, list[int]], None]) -> None:
        try:
            message = json.loads(line)
            if not isinstance(message, dict) or message.get("v") != VERSION:
                theirs = message.get("v") if isinstance(message, dict) else None
                text = f"this agent speaks version {VERSION}, the message is of version {theirs}"
                reply({"error": text, "code": "version", "mine": VERSION, "yours": theirs}, [])
                return
            name = message.get("op")
            if name == "sandbox":
                key = SandboxKey(str(message["netns"]), str(message.get("etc") or ""))
                self.sandboxes.get(key, str(message.get("hostname") or ""), reply)
                return
            if name == "stop":
                endings.stop(self.supervisor, message["pods"], reply)
                return
            if name == "settle":
                self.supervisor.settle(float(message["timeout"]), reply)
                return
            if name == "changes":
                self.supervisor.changes.after(int(message["seen"]), reply)
                return
            if name == "attach":
                where = PodKey(*(str(message[field]) for field in ("netns", "namespace", "pod")))
                pod = self.supervisor.pods.get(where)
                made = pod.containers.get(str(message["container"])) if pod else None
                if made and made.pid and made.streams and made.log:
                    attach(made.streams, made.pid, made.log.name, reply, stdin=bool(message["stdin"]))
                else:
                    reply({"running": False}, [])
                return
            operation = self.operations.get(str(name))
            if operation is None:
                reply({"error": f"no operation {name!r}", "code": "operation"}, [])
                return
            reply(operation(message), [])
        except OSError as refusal:
            reply({"error": str(refusal), "errno": refusal.errno}, [])
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            reply({"error": f"message not understood: {type(fault).__name__}: {fault}", "code": "message"}, [])

    def hello(self, _message: Message) -> Message:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            rss = next((int(line.split()[1]) for line in status if line.startswith("VmRSS:")), 0)
        return {
            "lab": self.lab,
            "version": VERSION,
            "since": self.since,
            "rss": rss * 1024,
            "listeners": len(self.endpoints.table),
            "sandboxes": len(self.sandboxes.by_key),
            "served": self.endpoints.tcp.served,
        }

    def listen(self, message: Message) -> Message:
        opened, errors = self.endpoints.listen(message["endpoints"])
        return {"opened": opened, "errors": errors}

    def unlisten(self, message: Message) -> Message:
        ports = [Port(p["netns"], int(p["port"]), str(p.get("protocol", "TCP"))) for p in message["ports"]]
        return {"closed": self.endpoints.unlisten(ports)}

    def report(self, message: Message) -> Message:
        self.endpoints.report(message["ports"])
        return {}

    def acknowledge(self, message: Message) -> Message:
        self.statuses.acknowledge(int(message["version"]), message.get("again"))
        return {}

    def drop(self, message: Message) -> Message:
        names = message["netns"] if isinstance(message["netns"], list) else [message["netns"]]
        closed = sum(self.endpoints.drop(name) for name in names)
        for name in names:
            self.supervisor.drop(name)
        ended = sum(self.sandboxes.drop(name) for name in names)
        return {"closed": closed, "sandboxes": ended + self.sandboxes.drop_folders(message.get("etc", ()))}

    def quit(self, _message: Message) -> Message:
        self.loop.running = False
        return {}
