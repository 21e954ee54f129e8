"""The user behind sudo, who owns what netlab makes for people."""

from __future__ import annotations

import os

_WHOLE = ["0", "0", "4294967295"]


def behind_sudo() -> tuple[int, int] | None:
    """The user and group (-1: unknown) behind sudo; None where there is no sudo.

    Root of a user namespace was no sudo's: there, the variables are left from outside and their numbers mean others.
    """
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if not uid.isdigit() or os.geteuid() != 0 or not maps_all_users():
        return None
    return int(uid), int(gid) if gid.isdigit() else -1


def maps_all_users() -> bool:
    """Whether this is no user namespace, or one that has all users of the machine; not so in a world without root."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as table:
            return table.read().split() == _WHOLE
    except OSError:  # a kernel without user namespaces
        return True
