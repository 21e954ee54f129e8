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
from typing import Any, NamedTuple

from netlab.runtime.agent import POD_COMM, linux
from netlab.runtime.agent.containers.view import ETC, View
from netlab.runtime.agent.loop import Loop
from netlab.runtime.agent.responders.endpoints import Endpoints

_HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
Answer = Callable[[dict[str, Any], list[int]], None]
Signature = tuple[int, int, int]


class Place(NamedTuple):
    """A Pod's network namespace, as a path, and the folder of its files below /etc/netns; "": that of the same name."""

    netns: str
    etc: str

    @property
    def folder(self) -> str:
        return f"etc/netns/{self.etc or os.path.basename(self.netns)}"


class Sandbox:
    """One Pod's; ``files`` are its /etc/hosts, resolv.conf, hostname, open for writing, once it is ready."""

    def __init__(self, place: Place, inode: int, pid: int, channel: _socket.socket) -> None:
        self.place, self.inode, self.pid, self.channel = place, inode, pid, channel
        self.pidfd = os.pidfd_open(pid)
        self.files: list[int] = []
        self.signatures: dict[str, Signature | None] = {}
        self.reply: dict[str, Any] = {}
        self.waiting: list[Answer] = []


class Sandboxes:
    """All of a lab.  Pods in their node's network have one each, since their files differ; so has the node."""

    def __init__(self, loop: Loop, endpoints: Endpoints) -> None:
        self.loop, self.endpoints = loop, endpoints
        self.by_place: dict[Place, Sandbox] = {}
        self.exited: Callable[[int, int], None] = lambda _pid, _status: None  # told of every other child that ended
        self.pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def get(self, place: Place, hostname: str, answer: Answer) -> None:
        """Answer with the Pod's sandbox (a pidfd), now or when it is ready; OSError where there is no such netns."""
        if place.etc == os.path.basename(place.netns):
            place = place._replace(etc="")
        fd = self.endpoints.open_netns(place.netns)
        try:
            inode = os.fstat(fd).st_ino
            known = self.by_place.get(place)
            if known is not None and known.inode != inode:  # the Pod was made anew under its old name
                self._end(place)
                known = None
            if known is None:
                known = self._start(place, inode, fd, hostname)
        finally:
            os.close(fd)
        if known.reply:
            self._refresh(known)
            answer(known.reply, [known.pidfd])
        else:
            known.waiting.append(answer)

    def _start(self, place: Place, inode: int, netns_fd: int, hostname: str) -> Sandbox:
        contents, signatures = {}, {}
        for name in ETC:
            signatures[name], contents[name] = self._read(place, name)
        hostname = hostname or contents["hostname"].strip() or os.path.basename(place.netns)
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
        sandbox = Sandbox(place, inode, pid, ours)
        sandbox.signatures = signatures
        self.by_place[place] = sandbox
        self.loop.add(ours.fileno(), lambda _mask: self._ready(sandbox))
        return sandbox

    def _ready(self, sandbox: Sandbox) -> None:
        """The report of a new sandbox: its files, or why there is none."""
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
            self._end(sandbox.place)
        else:
            sandbox.reply = {"pid": sandbox.pid, **reply}
            fds_out = [sandbox.pidfd]
        for answer in sandbox.waiting:
            answer(reply if "error" in reply else sandbox.reply, fds_out)
        sandbox.waiting.clear()

    def _read(self, place: Place, name: str) -> tuple[Signature | None, str]:
        """(what tells one version of /etc/netns/NAME/``name`` from the next, its content)."""
        try:
            fd = os.open(f"{place.folder}/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.endpoints.root)
        except OSError:
            return None, ""
        with open(fd, "rb") as file:
            there = os.fstat(fd)
            return (there.st_ino, there.st_mtime_ns, there.st_size), file.read().decode("utf-8", "surrogateescape")

    def _refresh(self, sandbox: Sandbox) -> None:
        """Bring the Pod's files in step with /etc/netns.

        Written through descriptors from before the Pod's first command, so no link in the Pod can lead them astray.
        """
        for name, fd in zip(ETC, sandbox.files, strict=True):
            signature, content = self._read(sandbox.place, name)
            if signature is not None and signature != sandbox.signatures.get(name):
                sandbox.signatures[name] = signature
                os.ftruncate(fd, 0)
                os.pwrite(fd, content.encode("utf-8", "surrogateescape"), 0)

    def drop(self, netns: str) -> int:
        """End the processes of all Pods in a network namespace; the mounts go with them.  How many sandboxes went."""
        there = [place for place in self.by_place if place.netns == netns]
        for place in there:
            self._end(place)
        return len(there)

    def drop_folders(self, folders: Collection[str]) -> int:
        """End the processes of Pods in their node's network, whose namespace stays; each has a folder of its own."""
        there = [place for place in self.by_place if place.etc and place.etc in folders]
        for place in there:
            self._end(place)
        return len(there)

    def _end(self, place: Place) -> None:
        sandbox = self.by_place.pop(place)
        try:
            signal.pidfd_send_signal(sandbox.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(sandbox.pidfd)
        for fd in sandbox.files:
            os.close(fd)

    def reap(self) -> None:
        """Collect what has died; a sandbox that somebody killed is made anew when it is asked for."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for place, sandbox in list(self.by_place.items()):
                if sandbox.pid == pid:
                    if sandbox.reply:
                        self._end(place)
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
