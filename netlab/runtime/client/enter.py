"""Run a command in a Pod: exec and shell.

The command lives in the Pod's namespaces and is this process's child, so its status is the kernel's own word.  It has
a session of its own: a Pod's process must not push characters into the user's terminal (TIOCSTI).  So signals that the
user sends (Ctrl-C, SIGTERM ...) come here and are passed on to the command's process group.

With ``tty`` the command gets a terminal of the sandbox's own devpts; this process copies bytes between the two, the
user's in raw mode, so Ctrl-C is a character that the Pod's terminal turns into the signal.

What the command leaves in the background goes on in the Pod's PID namespace, until it ends, the Pod goes or the lab
goes down; as after ``kubectl exec``.  Its output still goes where the command's went, but for a terminal, which is
hung up.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import tty as ttymode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from netlab.errors import HostCannot, StateError
from netlab.libc import ARCHITECTURE
from netlab.runtime.agent.linux import LIMITS_PIDS, PIDS_MAX
from netlab.runtime.client import agentclient, agnhost
from netlab.runtime.client.sandbox import NOT_EXECUTABLE, PATH, Entry, become, execute
from netlab.tuples import NamedTuple

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ash", "ksh"})


def pty_requests(architecture: str) -> tuple[int, int]:
    """TIOCSPTLCK (unlock a pty), TIOCGPTPEER (open its other end, whatever /dev/pts shows): asm/ioctls.h."""
    return (0x80045431, 0x20005441) if architecture == "ppc64le" else (0x40045431, 0x5441)


class EnterTarget(NamedTuple):
    """Where a command runs: ``netns`` is the path of its network namespace (/run/netns/NAME).

    ``etc``: the folder of its files below /etc/netns, where that has another name.
    """

    lab: str
    rundir: Path
    netns: str
    hostname: str
    env: Mapping[str, str] = {}
    etc: str = ""


def environment(target: EnterTarget, argv: Sequence[str], *, tty: bool) -> dict[str, str]:
    """The command's: nothing of the caller's but TERM, then the target's own."""
    env = {"PATH": PATH, "HOME": "/root", "HOSTNAME": target.hostname, "USER": "root", "LOGNAME": "root"}
    if tty:
        env["TERM"] = os.environ.get("TERM", "xterm")
        if os.path.basename(argv[0]) in _SHELLS:
            env["PS1"] = f"root@{target.hostname}:$PWD# "
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        if name in os.environ:
            env[name] = os.environ[name]
    return env | dict(target.env)


def run(
    target: EnterTarget,
    argv: Sequence[str],
    *,
    tty: bool = False,
    stdin: bool = False,
    workdir: str = "/",
) -> int:
    """Run ``argv`` there and wait; its exit status, 128 + n where signal n ended it, 126/127 as a shell.

    ``stdin``: pass standard input on (else the command reads /dev/null).  ``tty``: give it a terminal.
    Raises StateError where the lab's agent does not run, HostCannot where the kernel refuses the namespaces.
    """
    if not argv:
        raise ValueError("no command")
    with agentclient.connect(target.rundir, target.lab) as agent:
        sandbox = agent.sandbox(target.netns, target.hostname, target.etc)
    try:
        env = environment(target, argv, tty=tty)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with _Passing() as passing:
                try:
                    child = Entry(sandbox.pidfd).fork()
                except OSError as refusal:
                    raise _refused(target, refusal) from refusal
                if child == 0:
                    ours.close()
                    _command(sandbox.pidfd, target, argv, env, theirs, tty=tty, stdin=stdin, workdir=workdir)
                theirs.close()
                passing.start(child)
                master = _report(ours, target, child)
                if tty and master is not None:
                    _terminal(master, child, stdin=stdin)
                return _status(child)
        finally:
            ours.close()
            theirs.close()
    finally:
        os.close(sandbox.pidfd)


def _refused(target: EnterTarget, refusal: OSError) -> HostCannot:
    if refusal.errno == errno.EAGAIN and LIMITS_PIDS:
        return HostCannot(
            f"cannot enter {target.hostname}: no more processes",
            hint=f"a Pod may have {PIDS_MAX:,}; netlab down {target.lab} ends them all",
        )
    return HostCannot(
        f"cannot enter {target.hostname}: {refusal}", hint="exec needs root (or the lab's user namespace) and Linux 5.8"
    )


def _command(
    pidfd: int,
    target: EnterTarget,
    argv: Sequence[str],
    env: Mapping[str, str],
    report: socket.socket,
    *,
    tty: bool,
    stdin: bool,
    workdir: str,
) -> None:
    """The child; never returns.  It reports "" (or the terminal's master) when it is about to exec, else why not."""
    status = NOT_EXECUTABLE
    try:
        os.setsid()
        Entry(pidfd).arrive(target.hostname)
        if tty:
            master = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
            unlock, open_peer = pty_requests(ARCHITECTURE)
            fcntl.ioctl(master, unlock, struct.pack("i", 0))
            peer = fcntl.ioctl(master, open_peer, os.O_RDWR | os.O_NOCTTY)
            for fd in (0, 1, 2):
                os.dup2(peer, fd)
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            socket.send_fds(report, [b"tty"], [master])
        else:
            if not stdin:
                os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            report.send(b"ready")
        become()
        if workdir != "/":  # not before: a way through /proc/self/fd would lead out by this process's descriptors
            try:
                os.chdir(workdir)
            except OSError as refusal:
                os.write(2, f"netlab: {workdir}: {refusal.strerror}\n".encode(errors="replace"))
                os._exit(NOT_EXECUTABLE)
        status = agnhost.main(argv[1:]) if argv[0] == agnhost.PROGRAM else execute(argv, env)
    except BaseException as failure:  # noqa: BLE001 - the child of a fork must end here, whatever happens
        try:
            report.send(f"!{failure}".encode())
        except OSError:
            os.write(2, f"netlab: {failure}\n".encode(errors="replace"))
    finally:
        os._exit(status)


def _report(channel: socket.socket, target: EnterTarget, child: int) -> int | None:
    """Wait until the child is in the Pod; the terminal's master, where there is one."""
    data, ancillary, _flags, _address = channel.recvmsg(4096, socket.CMSG_LEN(4))
    if data.startswith(b"!"):
        os.waitpid(child, 0)
        raise HostCannot(f"cannot enter {target.hostname}: {data[1:].decode(errors='replace')}")
    for _level, _kind, raw in ancillary:
        fds = array.array("i")
        fds.frombytes(raw[: len(raw) - len(raw) % fds.itemsize])
        os.set_inheritable(fds[0], False)
        return fds[0]
    if not data:
        _pid, status = os.waitpid(child, 0)
        raise StateError(
            f"the command in {target.hostname} was killed before it began (status {status})",
            hint=f"netlab up {target.lab} repairs the lab",
        )
    return None


def _status(child: int) -> int:
    while True:
        try:
            _pid, status = os.waitpid(child, 0)
        except InterruptedError:
            continue
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


class _Passing:
    """While the command runs, signals to this process go to the command's process group.  Main thread only."""

    def __init__(self) -> None:
        self.child = 0
        self.early: list[int] = []
        self.before: dict[int, object] = {}

    def __enter__(self) -> _Passing:
        for number in _PASSED_ON:
            self.before[number] = signal.signal(number, self.take)
        return self

    def start(self, child: int) -> None:
        self.child = child
        for number in self.early:
            self.take(number, None)

    def take(self, number: int, _frame: FrameType | None) -> None:
        if not self.child:
            self.early.append(number)
            return
        for send in (os.killpg, os.kill):
            try:
                send(self.child, number)
                return
            except ProcessLookupError:  # before its setsid: not a group yet; or it has ended
                continue

    def __exit__(self, *_error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave


def _terminal(master: int, child: int, *, stdin: bool) -> None:
    """Copy between the user's terminal and the Pod's until the command ends; always restores the user's."""
    pidfd = os.pidfd_open(child)
    source = 0 if stdin else -1
    saved = None
    before = signal.getsignal(signal.SIGWINCH)
    try:
        if os.isatty(0):
            _copy_size(0, master)
            signal.signal(signal.SIGWINCH, lambda _number, _frame: _copy_size(0, master))
            if stdin:
                saved = termios.tcgetattr(0)
                ttymode.setraw(0)
        _copy(master, pidfd, source)
    finally:
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
        signal.signal(signal.SIGWINCH, before)
        os.close(pidfd)
        os.close(master)


def _copy_size(source: int, target: int) -> None:
    try:
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8)))
    except OSError:  # a terminal without a size
        pass


def _copy(master: int, pidfd: int, source: int) -> None:
    poll = select.poll()
    poll.register(master, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    if source >= 0:
        poll.register(source, select.POLLIN)
    pending = b""
    while True:
        ready = dict(poll.poll())
        if master in ready:
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: nobody holds the other end any more
                return
            _write(1, data)
            continue  # all output comes before the end
        if pidfd in ready:  # a background child may hold the terminal: the command's end counts
            return
        if source in ready:
            pending = os.read(source, 4096)
            if not pending:  # the end of a file or pipe is what Ctrl-D is at a terminal
                poll.unregister(source)
                pending = b"\x04"
            _write(master, pending)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
