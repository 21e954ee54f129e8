"""Sandboxes: a process a Pod that holds its mount, PID, UTS and IPC namespaces, as the pause container does.

The process is a fork of the agent, PID 1 of the Pod, and does nothing: the kernel reaps what is orphaned in the Pod
since it ignores SIGCHLD.  It has the capabilities of the Pod's commands, not more, and is not dumpable, so
/proc/1/exe, root and mem are closed to them.  It dies with the agent (PID 1 of the PID namespace around it), and with
it dies every process of the Pod.
"""

from __future__ import annotations

import _socket
import array
import json
import os
import signal
from collections.abc import Callable, Collection
from typing import Any

from netlab.runtime.agent import POD_COMM, linux
from netlab.runtime.agent.containers.view import ETC, View
from netlab.runtime.agent.loop import Loop
from netlab.runtime.agent.responders.endpoints import Endpoints
from netlab.tuples import NamedTuple

_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
Reply = Callable[[dict[str, Any], list[int]], None]
Signature = tuple[int, int, int]


class SandboxKey(NamedTuple):
    """A Pod's network namespace (a path), and its folder below /etc/netns ("": the one of the same name)."""

    netns: str
    etc: str

    @property
    def folder(self) -> str:
        return f"etc/netns/{self.etc or os.path.basename(self.netns)}"


class Sandbox:
    """A Pod's sandbox; once ready, ``files`` are its /etc/hosts, resolv.conf, hostname, open for writing."""

    def __init__(self, key: SandboxKey, inode: int, pid: int, channel: _socket.socket) -> None:
        self.key, self.inode, self.pid, self.channel = key, inode, pid, channel
        self.pidfd = os.pidfd_open(pid)
        self.files: list[int] = []
        self.signatures: dict[str, Signature | None] = {}
        self.reply: dict[str, Any] = {}
        self.waiting: list[Reply] = []


class Sandboxes:
    """All sandboxes of a lab.  Pods with hostNetwork have one each, since their files differ; so has the node."""

    def __init__(self, loop: Loop, endpoints: Endpoints) -> None:
        self.loop, self.endpoints = loop, endpoints
        self.by_key: dict[SandboxKey, Sandbox] = {}
        self.exited: Callable[[int, int], None] = lambda _pid, _status: None  # called for every other child that ended
        self.pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def get(self, key: SandboxKey, hostname: str, reply: Reply) -> None:
        """Reply with the Pod's sandbox (a pidfd), now or once it is ready; OSError without such a netns."""
        if key.etc == os.path.basename(key.netns):
            key = key._replace(etc="")
        fd = self.endpoints.open_netns(key.netns)
        try:
            inode = os.fstat(fd).st_ino
            sandbox = self.by_key.get(key)
            if sandbox is not None and sandbox.inode != inode:  # a new Pod has the old name
                self._end(key)
                sandbox = None
            if sandbox is None:
                sandbox = self._start(key, inode, fd, hostname)
        finally:
            os.close(fd)
        if sandbox.reply:
            self._refresh(sandbox)
            reply(sandbox.reply, [sandbox.pidfd])
        else:
            sandbox.waiting.append(reply)

    def _start(self, key: SandboxKey, inode: int, netns_fd: int, hostname: str) -> Sandbox:
        contents, signatures = {}, {}
        for name in ETC:
            signatures[name], contents[name] = self._read(key, name)
        hostname = hostname or contents["hostname"].strip() or os.path.basename(key.netns)
        contents["hostname"] = contents["hostname"] or hostname + "\n"
        contents["hosts"] = contents["hosts"] or _HOSTS
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        # The next child becomes PID 1 of a new PID namespace; then this process's children are its own again.
        linux.unshare(linux.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                _hold(netns_fd, hostname, contents, theirs)
        finally:
            linux.setns(self.pid_namespace, linux.CLONE_NEWPID)
        theirs.close()
        sandbox = Sandbox(key, inode, pid, ours)
        sandbox.signatures = signatures
        self.by_key[key] = sandbox
        self.loop.add(ours.fileno(), lambda _mask: self._ready(sandbox))
        return sandbox

    def _ready(self, sandbox: Sandbox) -> None:
        """The report of a new sandbox: its files or an error."""
        data, ancillary, _flags, _address = sandbox.channel.recvmsg(65536, _socket.CMSG_LEN(4 * len(ETC)))
        self.loop.remove(sandbox.channel.fileno())
        sandbox.channel.close()
        for _level, _kind, raw in ancillary:
            fds = array.array("i")
            fds.frombytes(raw[: len(raw) - len(raw) % fds.itemsize])
            sandbox.files += fds
        reply = json.loads(data) if data else {"error": "the sandbox died while it was made; agent.log may tell why"}
        fds_out = []
        if "error" in reply:
            self._end(sandbox.key)
        else:
            sandbox.reply = {"pid": sandbox.pid, **reply}
            fds_out = [sandbox.pidfd]
        for respond in sandbox.waiting:
            respond(reply if "error" in reply else sandbox.reply, fds_out)
        sandbox.waiting.clear()

    def _read(self, key: SandboxKey, name: str) -> tuple[Signature | None, str]:
        """(signature of the version, content) of /etc/netns/NAME/``name``."""
        try:
            fd = os.open(f"{key.folder}/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.endpoints.root)
        except OSError:
            return None, ""
        with open(fd, "rb") as file:
            there = os.fstat(fd)
            return (there.st_ino, there.st_mtime_ns, there.st_size), file.read().decode("utf-8", "surrogateescape")

    def _refresh(self, sandbox: Sandbox) -> None:
        """Update the Pod's files from /etc/netns.

        The descriptors predate the Pod's first command, so no link in the Pod can redirect the write.
        """
        for name, fd in zip(ETC, sandbox.files, strict=True):
            signature, content = self._read(sandbox.key, name)
            if signature is not None and signature != sandbox.signatures.get(name):
                sandbox.signatures[name] = signature
                os.ftruncate(fd, 0)
                os.pwrite(fd, content.encode("utf-8", "surrogateescape"), 0)

    def drop(self, netns: str) -> int:
        """End all Pods' processes in a network namespace, with their mounts; return the number of sandboxes."""
        there = [key for key in self.by_key if key.netns == netns]
        for key in there:
            self._end(key)
        return len(there)

    def drop_folders(self, folders: Collection[str]) -> int:
        """End the processes of hostNetwork Pods, whose namespace stays; each has a folder of its own."""
        there = [key for key in self.by_key if key.etc and key.etc in folders]
        for key in there:
            self._end(key)
        return len(there)

    def _end(self, key: SandboxKey) -> None:
        sandbox = self.by_key.pop(key)
        try:
            signal.pidfd_send_signal(sandbox.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(sandbox.pidfd)
        for fd in sandbox.files:
            os.close(fd)

    def reap(self) -> None:
        """Collect dead children; a killed sandbox is made again at the next request."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for key, sandbox in list(self.by_key.items()):
                if sandbox.pid == pid:
                    if sandbox.reply:
                        self._end(key)
                    break
            else:
                self.exited(pid, status)


def _hold(netns_fd: int, hostname: str, contents: dict[str, str], report: _socket.socket) -> None:
    """The sandbox's process; never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)  # which PID 1 never gets from inside its namespace
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        linux.set_comm(POD_COMM)
        linux.set_title([POD_COMM, hostname])  # read from the agent's /proc, where its own number is right
        linux.setns(netns_fd, linux.CLONE_NEWNET)
        linux.limit_pids()
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC)
        linux.sethostname(hostname)
        view = View()
        files = view.build(contents)
        message = {"view": "read-only" if view.bound else "overlay", "notes": view.notes, "hostname": hostname}
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", files))]
        null = os.open("/dev/null", os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        linux.limit_capabilities(linux.CAPABILITIES)
        report.sendmsg([json.dumps(message).encode()], rights)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        while True:
            signal.pause()
    except BaseException as failure:  # noqa: BLE001 - the child of a fork must end here, whatever happens
        try:
            report.send(json.dumps({"error": f"cannot make the Pod's sandbox: {failure}"}).encode())
        finally:
            os._exit(1)
