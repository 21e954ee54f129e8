"""The labs of the same person in the other world: root's, or the world without root."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from netlab.cli import out
from netlab.runtime.state.rundir import visible
from netlab.runtime.state.sudo import behind_sudo, maps_all_users

ROOT, ROOTLESS = "root", "rootless"


def world() -> str:
    """The world that this process works in, or would make: root's or the one without root."""
    return ROOT if os.geteuid() == 0 and maps_all_users() else ROOTLESS


def typed_outside() -> bool:
    """Whether lines such as `ip -n` work in `netlab shell` alone, and this command was not typed in one: it sets both."""
    return world() == ROOTLESS and not (os.environ.get("NETLAB_TYPED") == "netlab" and "NETLAB_LAB" in os.environ)


def point_to_shell(lines: Iterable[str]) -> None:
    """Where lines to type are for ip and its like: say which shell they work in, if this was not typed there."""
    if any(line.lstrip().startswith(("ip ", "bridge ")) for line in lines) and typed_outside():
        out.note(f"{out.command()} shell opens the shell in which these lines work")


def elsewhere() -> list[str]:
    """The names of labs of the same person that run in the other world.

    To a process without root they are root's labs and those that the user made by sudo; to root those without root of
    the user behind sudo.
    """
    owner = behind_sudo()
    if world() == ROOT and owner is None:
        return []
    from netlab.runtime.rootless import door  # late: a twentieth of the time that root's `ls` takes

    if owner is None:
        return list(door.outside)
    holder = door.holder_pid(owner[0])
    return visible(0, Path(f"/proc/{holder}/root/run/netlab")) if holder else []


def typed() -> str:
    """The beginning of a command line that works in the other world."""
    return out.command(root=True) if world() == ROOTLESS else out.command().removeprefix("sudo ")
