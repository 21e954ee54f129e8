"""The agent's start, inside the new namespaces that ``client.spawn`` made."""

from __future__ import annotations

import _socket
import gc
import os
import signal
import sys
import time

from netlab.runtime.agent import COMM, linux
from netlab.runtime.agent.control import Control
from netlab.runtime.agent.loop import Loop

# Left open by spawn: the control socket, listening; the host's root directory; the host's mount namespace.
SOCKET_FD, ROOT_FD, MOUNTS_FD = 3, 4, 5


def main(arguments: list[str]) -> int:
    """Serve until told to quit.  ``arguments``: the word netlab-agent, the lab, its run directory."""
    if len(arguments) != 3 or arguments[0] != COMM:
        print("usage: python -m netlab.runtime.agent netlab-agent LAB RUNDIR; `netlab up LAB` starts it", flush=True)
        return 2
    lab, rundir = arguments[1:]
    linux.set_comm(COMM)
    try:
        sock = _socket.socket(fileno=SOCKET_FD)
        os.set_inheritable(SOCKET_FD, False)
        os.set_inheritable(ROOT_FD, False)
        os.set_inheritable(MOUNTS_FD, False)
        os.stat(".", dir_fd=ROOT_FD)
    except OSError as missing:
        print(f"{COMM}: descriptors 3 to 5 must be open: {missing}; `netlab up {lab}` starts it", flush=True)
        return 2
    sock.setblocking(False)
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    try:
        linux.umount("/run/netns")  # a copy of each namespace's mount here would keep it alive
    except OSError:  # not a mount point yet
        pass

    loop = Loop()
    control = Control(loop, lab, sock, root=ROOT_FD, mounts=MOUNTS_FD, rundir=rundir)
    watch_signals(loop, control)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 50, 50)  # the hot path makes no cycles
    print(f"{time.strftime('%FT%TZ', time.gmtime())} {COMM} {lab} serves {rundir}", flush=True)
    loop.run()
    return 0


def watch_signals(loop: Loop, control: Control) -> None:
    """SIGCHLD reaps; SIGTERM ends.  As PID 1 the agent gets only handled signals and SIGKILL."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def ready(_mask: int) -> None:
        os.read(read, 512)
        control.sandboxes.reap()

    def stop(_number: int, _frame: object) -> None:
        loop.running = False

    loop.add(read, ready)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
