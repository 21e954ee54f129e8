"""Commands run in forks of a process that has imported all of netlab: half of a test's time is Python's start otherwise.

A fork begins where the console script would: with the descriptors, folder, environment and umask of the test, in a
process of its own that ends as any command does.  Only the imports are there already.  Run as a program, this file is
that process, and it ends with its parent: a worker of pytest, which begins it when it first needs it and asks it by an
inherited socket (``forks.py FD``), or the shell of a page, whose ``netlab`` asks it by a path (``forks.py PATH``).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_SIZE = 1 << 17  # bytes: what one message may carry, the environment and all words
_SPACES = ("mnt", "net", "pid", "user")

_lock = threading.Lock()
_begun: tuple[socket.socket, list[int]] | None = None


def _spaces() -> list[int]:
    return [os.stat(f"/proc/self/ns/{name}").st_ino for name in _SPACES]


def _server() -> tuple[socket.socket, list[int]]:
    global _begun
    with _lock:
        if _begun is None:
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for one in (here, there):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _SIZE)
            line = [sys.executable, "-I", __file__, str(there.fileno())]
            process = subprocess.Popen(line, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
            there.close()
            atexit.register(_end, here, process)
            _begun = here, _spaces()
        return _begun


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    process.wait()


def run(
    argv: Sequence[str],
    *,
    input: str | None,  # noqa: A002  # as subprocess.run calls it
    cwd: str | Path,
    env: Mapping[str, str],
    timeout: float,
) -> subprocess.CompletedProcess[str] | None:
    """As subprocess.run with captured texts; None where the command must be a process of its own all the same."""
    asked = json.dumps({"argv": list(argv), "cwd": str(cwd), "env": dict(env)}).encode()
    server, spaces = _server()
    given = (input or "").encode()
    if max(len(asked), 2 * len(given)) > _SIZE or spaces != _spaces():
        return None
    here, there = socket.socketpair()
    with here, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin = _stdin(given)
        with there:
            socket.send_fds(server, [asked], [stdin, out.fileno(), err.fileno(), there.fileno()])
        os.close(stdin)
        pid = int.from_bytes(here.recv(4), "little")  # without a limit: at first the server imports all of netlab
        if not pid:
            raise RuntimeError("the process that forks commands has ended: its own text is above")
        here.settimeout(timeout)
        try:
            status = int.from_bytes(here.recv(4), "little", signed=True)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(argv, timeout) from None
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode())
    return subprocess.CompletedProcess(argv, status, *said)


def _stdin(given: bytes) -> int:
    """A pipe that has all of it already: it holds 64 KiB; or nothing to read."""
    if not given:
        return os.open(os.devnull, os.O_RDONLY)
    end, start = os.pipe()
    os.write(start, given)
    os.close(start)
    return end


# -- the process that forks -------------------------------------------------------------------------------------------


def _serve(control: socket.socket, *, listens: bool) -> None:
    """Fork for each message, send its sender the process and then its status, until nobody can ask any more."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for fd, _ in poll.poll():
            if fd in running:
                pid, asker = running.pop(fd)
                poll.unregister(fd)
                os.close(fd)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError), asker:
                    asker.send(status.to_bytes(4, "little", signed=True))
                continue
            if listens:
                asker = control.accept()[0]
                asked, fds, _, _ = socket.recv_fds(asker, _SIZE, 3)
                if not asked:
                    asker.close()
                    continue
            else:
                asked, fds, _, _ = socket.recv_fds(control, _SIZE, 4)
                if not asked:
                    return
                asker = socket.socket(fileno=fds.pop())
            pid = os.fork()
            if pid == 0:
                _become(json.loads(asked), fds)
            for one in fds:
                os.close(one)
            with contextlib.suppress(OSError):
                asker.send(pid.to_bytes(4, "little"))
            pidfd = os.pidfd_open(pid)
            running[pidfd] = pid, asker
            poll.register(pidfd, select.POLLIN)


def _become(asked: dict[str, object], fds: Sequence[int]) -> None:
    from netlab.cli.entry import main

    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.closerange(3, 1024)
    os.chdir(str(asked["cwd"]))
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    sys.argv[:] = ["netlab", *asked["argv"]]  # type: ignore[misc]
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    try:
        main()
    except BaseException:  # noqa: BLE001  # as at the end of any Python program
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(70)


def _import_all() -> None:
    import pkgutil
    from importlib import import_module

    import netlab.cli.entry  # first of all, as it is for the console script: it sets what Ctrl-C does

    for found in pkgutil.walk_packages(netlab.__path__, "netlab."):
        # The engine's library may be missing, begins threads, and reads the environment when it is imported.
        if "agent" not in found.name.split(".") and not found.name.endswith(("__main__", "machines.engine")):
            import_module(found.name)


if __name__ == "__main__":
    _import_all()
    gc.freeze()
    where = sys.argv[1]
    if where.isdigit():
        _serve(socket.socket(fileno=int(where)), listens=False)
    else:
        from netlab.runtime.agent.linux import PR_SET_PDEATHSIG, prctl

        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        door.bind(where)
        door.listen(64)
        _serve(door, listens=True)
