"""The namespaces in which a child tries: root's, a plain user's, and a plain user's as root sees it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import ParamSpec

from netlab.libc import check, libc

P = ParamSpec("P")
_NEWNS, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
_NOBODY = 65534
_PR_SET_DUMPABLE = 4


def as_root() -> None:
    """A network namespace by the process's own privilege."""
    _step("net", _unshare, _NEWNET)


def as_user() -> None:
    """A user namespace, and the others in it.  An OSError's text is the step that failed."""
    uid, gid = os.geteuid(), os.getegid()
    _step("user", _unshare, _NEWUSER)
    for file, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        _step("map", _write, f"/proc/self/{file}", line)
    for step, flag in (("mnt", _NEWNS), ("net", _NEWNET), ("pid", _NEWPID)):
        _step(step, _unshare, flag)


def as_nobody() -> None:
    """As ``as_user``, from root: what another user of this host may do."""
    with contextlib.suppress(OSError):  # where there is no such user, root's own rights are what can be tried
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its /proc files are root's
    as_user()


def is_inside() -> bool:
    """Whether this process is in a user namespace: root there is not root of the machine."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return file.read().split() != ["0", "0", "4294967295"]
    except OSError:
        return False


def _step(name: str, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        action(*args, **kwargs)
    except OSError as error:
        raise OSError(error.errno, name) from None


def _unshare(flag: int) -> None:
    check(libc.unshare(flag), "unshare")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
