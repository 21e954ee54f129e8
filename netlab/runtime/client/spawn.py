"""Start a lab's agent.

``spawn`` returns as soon as the process exists; its socket listens already, so a message may be sent at once and is
answered when the agent has started (35 to 50 ms later).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from netlab.errors import EXHAUSTED, HostCannot, StateError
from netlab.kernel.host.limits import raise_open_files
from netlab.runtime.agent import COMM, linux
from netlab.runtime.client.agentclient import LOG, PID_FILE, SOCKET, Process, start_time

_MAIN = str(Path(linux.__file__).with_name("__main__.py"))
_FLAGS = ("-I", "-S", "-X", "utf8")


def spawn(rundir: Path, lab: str, home_netns: str | None = None) -> Process:
    """Start the lab's agent, its network namespace ``home_netns`` (a path; None: the caller's); does not wait for it.

    Raises StateError where the host refuses.  The process has left the caller's session, terminal and descriptors;
    its output is in ``rundir``/agent.log.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    # Python runs hooks around fork, and swallows what a signal's handler raises in them: an interrupt would be lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        child = os.fork()
        if child == 0:
            try:
                _become_agent(rundir, lab, home_netns, write)
            except BaseException as failure:  # noqa: BLE001 - the child of a fork must end here, whatever happens
                reason = failure.errno if isinstance(failure, OSError) else None
                os.write(write, f"!{reason or 0} {failure}".encode())
            finally:
                os._exit(1)
        os.close(write)
        with open(read, encoding="utf-8", errors="replace") as stream:
            report = stream.read()
        os.waitpid(child, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if not report or report.startswith("!"):
        number, _, why = report[1:].partition(" ")
        message = f"the agent of lab {lab} cannot be started: {why or 'its process died'}"
        raise HostCannot(message) if number and int(number) in EXHAUSTED else StateError(message)
    pid, start = map(int, report.split())
    return Process(pid, start)


def _become_agent(rundir: Path, lab: str, home_netns: str | None, report: int) -> None:
    """In the first child: new session, namespaces, then a second child that becomes the agent as their PID 1."""
    os.setsid()
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    directory = os.open(rundir, os.O_RDONLY | os.O_DIRECTORY)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.unlink(SOCKET, dir_fd=directory)
    except FileNotFoundError:
        pass
    sock.bind(f"/proc/self/fd/{directory}/{SOCKET}")  # a socket's path has 107 bytes; this one always fits
    sock.listen(64)
    os.umask(0o022)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    null = os.open("/dev/null", os.O_RDONLY)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600, dir_fd=directory)
    if home_netns is not None:
        home = os.open(home_netns, os.O_RDONLY)
        linux.setns(home, linux.CLONE_NEWNET)
        os.close(home)
    raise_open_files()
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID)
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_SLAVE)
    os.chdir("/")
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        ends = null, log, log, sock.fileno(), root, mounts, write
        high = [os.dup2(fd, 100 + number) for number, fd in enumerate(ends)]
        for number, fd in enumerate(high):
            os.dup2(fd, number, inheritable=fd != high[-1])
        os.closerange(len(ends), os.sysconf("SC_OPEN_MAX"))
        argv = [sys.executable, *_FLAGS, _MAIN, COMM, lab, str(rundir)]
        os.execve(sys.executable, argv, {"PATH": os.defpath, "LC_ALL": "C"})
    start = start_time(pid)
    temporary = f".{PID_FILE}.{pid}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=directory), "w") as file:
        file.write(f"{pid} {start}\n")
    os.rename(temporary, PID_FILE, src_dir_fd=directory, dst_dir_fd=directory)
    os.close(write)
    # This process holds a copy of the lab's lock, whatever becomes of its parent, until exec ends the pipe: from then on
    # `down` finds the agent by its command line.
    os.read(read, 1)
    os.write(report, f"{pid} {start}".encode())
    os._exit(0)
