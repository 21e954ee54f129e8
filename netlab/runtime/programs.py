"""Which programs this host has, as a container in the throw-away view finds them."""

from __future__ import annotations

import os
import stat
from functools import cache

# The view hides these: what the host has there, a Pod has not (see agent.view).
_HIDDEN = ("/run/", "/tmp/", "/proc/", "/sys/", "/dev/", "/media/")


@cache
def has_program(name: str, path: str) -> bool:
    """Whether a command's first word leads to a program: by itself, by PATH, or as busybox's applet."""
    if "/" in name:
        return _executable(name)
    places = [place for place in path.split(":") if place.startswith("/")]
    if any(_executable(f"{place}/{name}") for place in places):
        return True
    busybox = next((f"{place}/busybox" for place in places if _executable(f"{place}/busybox")), "")
    return bool(busybox) and name in _applets(busybox)


def _executable(path: str) -> bool:
    try:
        there = os.stat(path)
    except (OSError, ValueError):
        return False
    hidden = os.path.realpath(path).startswith(_HIDDEN)
    return stat.S_ISREG(there.st_mode) and bool(there.st_mode & 0o111) and not hidden


@cache
def _applets(busybox: str) -> frozenset[str]:
    import subprocess  # 10 ms that only a lab with a busybox applet as command needs

    done = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=False)
    return frozenset(done.stdout.split())


def forget() -> None:
    """Ask the host again from now on."""
    has_program.cache_clear()
    _applets.cache_clear()
