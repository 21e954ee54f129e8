"""Start, find and end a lab's API server (``netlab.api``); it ends with the lab."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from pathlib import Path

from netlab.errors import HostCannot, StateError
from netlab.runtime.client import agentclient
from netlab.runtime.client.agentclient import Process, start_time
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.sudo import maps_all_users

KUBECONFIG = "kubeconfig"
CACHE = ".cache"  # after the kubeconfig's path: where `netlab kubectl` lets kubectl remember what there is
_PID_FILE, _LOG = "api.pid", "api.log"
_OUTSIDE = "outside"
_SECONDS = 2.0  # for the end of a server that is asked to end


def recorded(folder: Path) -> Process | None:
    """The server that the pid file names, if that process still runs."""
    try:
        pid, start = map(int, (folder / _PID_FILE).read_text(encoding="ascii").split()[:2])
    except (OSError, ValueError):
        return None
    return Process(pid, start) if start and start_time(pid) == start else None


def kubeconfig(lab: str) -> Path:
    """The path of the lab's kubeconfig: in the lab's run state; of a lab without root where programs outside see it."""
    if maps_all_users():
        return RunDir(lab).path / KUBECONFIG
    own = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(own) / "netlab" / f"{lab}.{KUBECONFIG}"


def ensure(lab: str, listener: socket.socket | None = None) -> Path:
    """The path of the lab's kubeconfig, after the server was started where none runs.

    ``listener``: the server's socket, where this process is in other namespaces than the server's clients.
    Raises HostCannot where the host lacks something, StateError where the server does not start.
    """
    with lock.locked(lab):
        return held(lab, listener)


def held(lab: str, listener: socket.socket | None = None) -> Path:
    """As ``ensure``, for a caller that has the lab's lock.  Daemons of nodes that knew another server start again."""
    folder, path = RunDir(lab).path, kubeconfig(lab)
    if recorded(folder) is None or not path.exists() or (listener is not None and not _is_outside(folder)):
        again = (folder / _PID_FILE).exists()
        dismiss(lab)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _start(lab, folder, path, listener)
        if again:
            _restart_daemons(lab, folder)
    return path


def _restart_daemons(lab: str, folder: Path) -> None:
    """End the daemons of nodes, which the lab's agent starts again: a kubeconfig is read once, as a rule."""
    if agentclient.recorded(folder) is None:
        return
    with agentclient.connect(folder, lab) as agent:
        pods = agent.processes()
    known = {container["pid"] for pod in pods if pod.get("daemon") for container in pod["containers"]} - {0}
    for pid, here in agentclient.host_pids(folder).items() if known else ():
        if pid in known:
            with contextlib.suppress(ProcessLookupError):
                os.kill(here, signal.SIGTERM)


def _is_outside(folder: Path) -> bool:
    """Whether the server listens outside of the lab's own namespaces: one that was started inside does not."""
    return (folder / _PID_FILE).read_text(encoding="ascii").split()[2:] == [_OUTSIDE]


def _start(lab: str, folder: Path, path: Path, listener: socket.socket | None) -> None:
    read, write = os.pipe()
    passed = [write, *([listener.fileno()] if listener is not None else [])]
    for descriptor in passed:
        os.set_inheritable(descriptor, True)
    argv = [sys.executable, "-I", "-X", "utf8", "-m", "netlab.api", lab, str(path), *map(str, passed)]
    log = os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    outputs = [(os.POSIX_SPAWN_DUP2, log, number) for number in (1, 2)]
    try:
        pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=[null, *outputs], setsid=True)
    finally:
        os.close(write)
        os.close(log)
    with open(read, encoding="utf-8", errors="replace") as stream:
        report = stream.read()
    if report != "+":
        _, status = os.waitpid(pid, 0)
        message, _, hint = report[1:].partition("\n")
        message = (
            message or f"it ended with status {os.waitstatus_to_exitcode(status)}; its output is in {folder / _LOG}"
        )
        kind = HostCannot if hint else StateError
        raise kind(f"the API server of lab {lab} does not start: {message}", hint=hint)
    where = [_OUTSIDE] if listener is not None else []
    (folder / _PID_FILE).write_text(" ".join([str(pid), str(start_time(pid)), *where]), encoding="ascii")


def dismiss(lab: str) -> None:
    """End the lab's server, where one runs; the kubeconfig of a killed one goes too, which a user's own folder keeps."""
    server = recorded(RunDir(lab).path)
    if server is not None:
        _end(server)
    if not maps_all_users():
        with contextlib.suppress(OSError):
            kubeconfig(lab).unlink(missing_ok=True)


def _end(server: Process) -> None:
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(server.pid)
        try:
            if start_time(server.pid) != server.start:
                return
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(_SECONDS * 1000):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
