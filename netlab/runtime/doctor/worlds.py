"""The namespaces in which a child tries: root's, a plain user's, and a plain user's as root sees it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from netlab.kernel.host.netns import unshare_net
from netlab.libc import die_with_parent, libc
from netlab.runtime.agent import linux
from netlab.runtime.rootless import world

_NOBODY = 65534
_PR_SET_DUMPABLE = 4


def as_root() -> None:
    """A network namespace by the process's own privilege, its name, and a way into it.  An OSError's text is the step."""
    with _step("net"):
        unshare_net()
    with _step("mnt"):
        linux.unshare(linux.CLONE_NEWNS)
    with _step("mount"):
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("netlab", "/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV)
        name = os.open("/tmp/netns", os.O_CREAT | os.O_CLOEXEC)
        os.close(name)
        linux.mount("/proc/self/ns/net", "/tmp/netns", flags=linux.MS_BIND)
    with _step("setns"):
        name = os.open("/tmp/netns", os.O_RDONLY | os.O_CLOEXEC)
        linux.setns(name, linux.CLONE_NEWNET)
        os.close(name)
        linux.umount("/tmp")


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, name) from None


def as_user() -> None:
    """The world of a user's labs.  An OSError's text is the step that the host refused."""
    try:
        world.separate(lambda: False)
        _become_first()
        world.furnish()
    except world.Refused as refused:
        raise OSError(refused.refusal.code, refused.refusal.step) from None


def as_nobody() -> None:
    """As ``as_user``, from root: what another user of this host may do."""
    with contextlib.suppress(OSError):  # where there is no such user, root's own rights are what can be tried
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its /proc files are root's
    as_user()


def _become_first() -> None:
    """Go on as the first process of the PID namespace; the caller's own process waits for it."""
    signal.alarm(0)
    die_with_parent(signal.SIGKILL)
    try:
        child = os.fork()
    except OSError as error:
        raise OSError(error.errno, "fork") from None
    if child:
        os.waitpid(child, 0)
        os._exit(0)
