"""A world for one worker: mounts, processes and /run of its own, which end with its first process.

Labs are namespaces that mounts below /run/netns and processes keep.  Both are in the world, so that a worker that is
killed leaves nothing.  The network namespace is the machine's: the worker talks to its scheduler, and labs have
namespaces of their own in any case.
"""

from __future__ import annotations

import os
import signal

from netlab.errors import HostCannot
from netlab.libc import die_with_parent
from netlab.runtime.agent import linux
from netlab.runtime.rootless.passing import stand_for
from netlab.runtime.rootless.world import Refused, furnish_folders

_KINDS = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS


def move_in() -> None:
    """Go on in a world, as its second process; the first one collects what ends.  Before any thread starts.

    Raises HostCannot where this host makes no such namespaces.
    """
    try:
        linux.unshare(_KINDS)
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_SLAVE)
    except OSError as error:
        raise HostCannot(
            f"no world for the worker: {error.strerror}", hint="netlab doctor; or without --world"
        ) from error
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    first = os.fork()
    if first:
        stand_for(first)
    die_with_parent(signal.SIGKILL)
    try:
        furnish_folders()
    except Refused as error:
        os.write(2, f"netlab: no world for the worker: {error.refusal.step}\n".encode())
        os._exit(3)
    worker = os.fork()
    if worker:
        _collect(worker)
    die_with_parent(signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _collect(worker: int) -> None:
    """The first process: it waits for every process that lost its parent, and ends as the worker does."""
    while True:
        seen = signal.sigwaitinfo(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
        if seen.si_signo != signal.SIGCHLD:
            os.kill(worker, seen.si_signo)
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                os._exit(128 + signal.SIGKILL)
            if pid == worker:
                os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
            if pid == 0:
                break
