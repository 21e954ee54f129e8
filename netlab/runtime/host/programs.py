"""The programs of this host, as a container with its temporary file view finds them.

Nothing is executed here: a spec names the folders (PATH), and documents are resolved with all of netlab's rights.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from itertools import pairwise, takewhile

from netlab.runtime.client.sandbox import PATH

# The view hides these: what the host has there, a Pod has not (see agent.view).
_HIDDEN = ("/run/", "/tmp/", "/proc/", "/sys/", "/dev/", "/media/")
_BUSYBOX_MAX = 16 << 20  # bytes; busybox has 1 to 2 MB
_TABLE = b"\0[\0[[\0"  # how busybox's table of applets begins: NUL-terminated names, sorted


@cache
def has_program(name: str, path: str) -> bool:
    """Whether a command's first word leads to a program: by itself, by PATH, or as busybox's applet."""
    if "/" in name:
        return _executable(name)
    return _path_of(name, path) != "" or (_path_of("busybox", path) != "" and name in applets(_path_of("busybox")))


def _path_of(name: str, path: str = PATH) -> str:
    paths = (f"{path_name}/{name}" for path_name in path.split(":") if path_name.startswith("/"))
    return next((path_name for path_name in paths if _executable(path_name)), "")


def busybox_links() -> dict[str, str]:
    """The links that a Pod has last on its PATH: an applet's name -> the host's busybox."""
    busybox = _path_of("busybox")
    return dict.fromkeys((name for name in applets(busybox) if "/" not in name), busybox)


def is_single_user() -> bool:
    """Whether this is a user namespace of a single user, in which no process may leave its groups."""
    try:
        with open("/proc/self/setgroups", encoding="ascii") as file:
            return file.read().strip() == "deny"
    except OSError:
        return False


def write_wrappers(folder: str) -> None:
    """In a user namespace of a single user make the folder, and scripts for programs that need another option there.

    tcpdump leaves root for a user of its own, and there is no other user.
    """
    tcpdump = _path_of("tcpdump") if is_single_user() else ""
    if tcpdump:
        os.mkdir(folder, 0o755)
        fd = os.open(f"{folder}/tcpdump", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o755)
        with open(fd, "w", encoding="ascii") as script:
            script.write(f'#!/bin/sh\nexec {tcpdump} -Z root "$@"\n')


def _executable(path: str) -> bool:
    try:
        there = os.stat(path)
    except (OSError, ValueError):
        return False
    hidden = os.path.realpath(path).startswith(_HIDDEN)
    return stat.S_ISREG(there.st_mode) and bool(there.st_mode & 0o111) and not hidden


@cache
def applets(busybox: str) -> frozenset[str]:
    """The applets of a busybox, read from its file; what it says when it is run could be anything's doing."""
    try:
        with open(busybox, "rb") as program:
            data = program.read(_BUSYBOX_MAX)
    except OSError:
        return frozenset()
    start = data.find(_TABLE)
    if start < 0:
        return frozenset()
    names = data[start + 1 : start + (1 << 14)].split(b"\0")
    ascending = takewhile(lambda pair: pair[0] < pair[1], pairwise(names))
    return frozenset(["[", *(name.decode("ascii", "replace") for _, name in ascending)])


def forget() -> None:
    """Ask the host again from now on."""
    has_program.cache_clear()
    applets.cache_clear()
