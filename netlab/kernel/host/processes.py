"""Processes in a lab's namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterable

from netlab.kernel.host.netns import RUN_NETNS
from netlab.tuples import NamedTuple


class Process(NamedTuple):
    """A process in a namespace: its pid as this host sees it, its name, the namespace's name."""

    pid: int
    comm: str
    netns: str


def inside(names: Iterable[str]) -> tuple[Process, ...]:
    """The processes whose network namespace is one of these."""
    wanted: dict[int, str] = {}
    for name in names:
        try:
            wanted[os.stat(RUN_NETNS / name).st_ino] = name
        except OSError:
            continue
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                where = wanted.get(os.stat(f"/proc/{entry}/ns/net").st_ino)
                if where is not None:
                    with open(f"/proc/{entry}/comm", encoding="utf-8", errors="replace") as stream:
                        members.append(Process(int(entry), stream.read().strip(), where))
            except OSError:
                continue
    return tuple(members)
