"""Commands in Pods, each a child of a process that has one thread.

Entering a Pod takes fork and setns, which a process with threads must not do.  So the server forks a ``Spawner`` before
it starts any; that process forks a child for each command, with descriptors that the server sends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path

from netlab.tuples import NamedTuple

_MESSAGE = 1 << 20  # bytes of a request: ARG_MAX of one command is less
_FAILED = 126  # as a shell has it: the command could not be run


class Order(NamedTuple):
    """A command to run.  ``verb``: the words of a netlab command instead of one in a Pod."""

    lab: str
    rundir: str = ""
    netns: str = ""
    hostname: str = ""
    env: dict[str, str] = {}  # noqa: RUF012 - never changed
    etc: str = ""
    argv: tuple[str, ...] = ()
    workdir: str = "/"
    tty: bool = False
    stdin: bool = False
    verb: tuple[str, ...] = ()


class Spawner:
    """The end of the server."""

    def __init__(self, ready: int) -> None:
        """``ready`` is a descriptor that the spawning process must not hold open."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE)
        if os.fork() == 0:
            try:
                self._socket.close()
                os.close(ready)
                _serve(theirs)
            finally:
                os._exit(0)
        theirs.close()

    def start(self, order: Order, descriptors: list[int]) -> None:
        """Run a command.  ``descriptors``: its 0, 1, 2, and one to which its pid and its exit status are written."""
        message = [json.dumps(order._asdict()).encode()]
        try:
            socket.send_fds(self._socket, message, descriptors)
        except (BrokenPipeError, ConnectionError):  # somebody killed the process
            self._again()
            socket.send_fds(self._socket, message, descriptors)

    def _again(self) -> None:
        """Another process; the server has threads by now, so it is a new program."""
        self._socket.close()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE)
        with theirs:
            line = [sys.executable, "-I", "-X", "utf8", "-m", "netlab.api.spawn", str(theirs.fileno())]
            subprocess.Popen(line, pass_fds=[theirs.fileno()])


def _serve(requests: socket.socket) -> None:
    import gc

    import netlab.cli.main
    import netlab.cli.verbs.diff
    import netlab.cli.verbs.graph
    import netlab.cli.verbs.logs
    import netlab.graph.topology
    import netlab.kernel.rtnetlink.link
    import netlab.runtime.client.enter
    import netlab.runtime.state.running  # noqa: F401

    gc.freeze()  # so that children share the pages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    while True:
        data, descriptors, _flags, _address = socket.recv_fds(requests, _MESSAGE, 4)
        if not data:
            return
        try:
            child = os.fork()
        except OSError as error:
            with contextlib.suppress(OSError):
                os.write(descriptors[2], f"netlab: this host starts no more processes: {error.strerror}\n".encode())
                os.write(descriptors[3], f"0\n{_FAILED}\n".encode())
        else:
            if child == 0:
                requests.close()
                _run(Order(**json.loads(data)), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _run(order: Order, descriptors: list[int]) -> None:
    """In the child: its descriptors, its session, the command, its status; never returns."""
    status = _FAILED
    report = -1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.setsid()
        report = fcntl.fcntl(descriptors[3], fcntl.F_DUPFD_CLOEXEC, 100)
        for number in range(3):
            os.dup2(descriptors[number], number)
        os.closerange(3, 100)
        os.write(report, f"{os.getpid()}\n".encode())
        if order.tty:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        sys.stdin, sys.stdout, sys.stderr = (
            open(0, closefd=False),
            open(1, "w", closefd=False),
            open(2, "w", closefd=False),
        )
        status = _command(order)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException as failure:  # noqa: BLE001 - the child of a fork must end here, whatever happens
        with contextlib.suppress(OSError):
            os.write(2, f"{failure}\n".encode())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        with contextlib.suppress(OSError):
            os.write(report, f"{status}\n".encode())
        os._exit(0)


def _command(order: Order) -> int:
    if order.verb:
        from netlab.cli.main import run as run_verb

        return run_verb(list(order.verb))
    from netlab.runtime.client.enter import EnterTarget, run

    os.environ["TERM"] = "xterm"
    target = EnterTarget(order.lab, Path(order.rundir), order.netns, order.hostname, order.env, order.etc)
    return run(target, list(order.argv), tty=order.tty, stdin=order.stdin, workdir=order.workdir)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
