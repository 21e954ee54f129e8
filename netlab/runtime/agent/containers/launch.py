"""Start a container's process in its Pod's sandbox, and find all its descendants.

A container shares the Pod's network, host name, IPC, processes and view of the file system; without images, one view
for a Pod is enough.  Only its mount namespace is its own, a copy of the Pod's.  It separates nothing, but every
descendant inherits it and none can leave it (that needs CAP_SYS_ADMIN), so it identifies a container's processes.
"""

from __future__ import annotations

import _socket
import array
import fcntl
import os
import signal
import termios
from collections.abc import Mapping, Sequence

from netlab.runtime.agent import linux
from netlab.runtime.agent.containers.streams import Streams
from netlab.runtime.client.sandbox import NOT_EXECUTABLE, NOT_FOUND, Entry, become, execute


def launch(
    pidfd: int, home: int, streams: Streams, argv: Sequence[str], env: Mapping[str, str], workdir: str
) -> tuple[int, _socket.socket]:
    """Start ``argv`` in the sandbox behind ``pidfd``: (its pid here, a socket with its report).

    ``home`` is the caller's PID namespace.  ``Report`` reads the socket.  OSError if the kernel refuses.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        linux.setns(pidfd, linux.CLONE_NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                _become(pidfd, streams, theirs, argv=argv, env=env, workdir=workdir)
        finally:
            linux.setns(home, linux.CLONE_NEWPID)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return pid, ours


class Report:
    """A new process's report: ``space`` is its mount namespace; ``status`` 0 and ``over``: it runs."""

    def __init__(self, channel: _socket.socket) -> None:
        self.channel, self.space, self.status, self.message, self.over = channel, -1, 0, "", False

    def read(self) -> None:
        """Read the available part."""
        while not self.over:
            try:
                data, ancillary, _flags, _address = self.channel.recvmsg(4096, _socket.CMSG_LEN(4))
            except BlockingIOError:
                return
            except OSError:  # it was killed during its start
                data, ancillary = b"", []
            for _level, _kind, raw in ancillary:
                self.space = array.array("i", raw[:4])[0]
                os.set_inheritable(self.space, False)
            if data and data != b"made":
                status, _, message = data.decode(errors="replace").partition(" ")
                self.status, self.message = int(status), message
            self.over = not data


def _become(
    pidfd: int, streams: Streams, report: _socket.socket, argv: Sequence[str], env: Mapping[str, str], workdir: str
) -> None:
    """The child process; never returns."""
    status, message = NOT_EXECUTABLE, ""
    try:
        signal.set_wakeup_fd(-1)
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        os.setsid()
        stdin = streams.given if streams.given >= 0 else os.open("/dev/null", os.O_RDONLY)
        os.dup2(stdin, 0)
        os.dup2(stdin if streams.tty else streams.log, 1)
        os.dup2(stdin if streams.tty else streams.log, 2)
        if streams.tty:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        entry = Entry(pidfd)
        entry.arrive("")
        linux.unshare(linux.CLONE_NEWNS)
        space = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [space]))
        report.sendmsg([b"made"], [rights])
        become(keep=[report.fileno()])
        # Only now: before, /proc/self/fd would lead out by the agent's descriptors.
        os.makedirs(workdir, exist_ok=True)
        os.chdir(workdir)
        status = execute(argv, env)
        message = f"{argv[0]}: {'no such program' if status == NOT_FOUND else 'cannot be executed'}"
    except BaseException as failure:  # noqa: BLE001 - the child of a fork must end here, whatever happens
        message = str(failure)
    finally:
        try:
            report.send(f"{status} {message}"[:2000].encode(errors="replace"))
        finally:
            os._exit(status)


def kill_all(space: int) -> None:
    """SIGKILL every process in a mount namespace, repeatedly, since they may fork meanwhile.

    ``space`` is an open descriptor, so its inode number is not reused.
    """
    mark = os.fstat(space).st_ino
    for _ in range(20):
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _space_of(entry) == mark]
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _space_of(pid: str) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:  # it has ended
        return 0
