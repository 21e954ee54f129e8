"""Whether this machine has room for a lab, before anything is built.

The needs of a lab were measured on Linux 6.18 with 1,000 and 5,000 Pods. A namespace needs 0.36 MB of memory, with its
link, its listeners and netlab's own share. The command that builds it needs two descriptors, and the agent one for each
listener.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from netlab.errors import HostLacks
from netlab.kernel.host.limits import OpenFiles
from netlab.kernel.host.netns import RUN_NETNS
from netlab.objects import Listener, Netns, Process, State

_BYTES = 370_000  # a namespace
_LEFT_ALONE = 100_000_000  # bytes that stay for everybody else, a tenth where there are few
_FILES_NETNS, _FILES_PROCESS, _FILES_ELSE = 2, 3, 200
_MB = 1_000_000


def require(want: State) -> None:
    """Raise HostLacks if the lab will not fit; the message has the need and the room."""
    there = set(os.listdir(RUN_NETNS)) if RUN_NETNS.is_dir() else set()
    namespaces = [namespace.netns for namespace in want.only(Netns)]
    new = sum(name not in there for name in namespaces)
    if not new:
        return
    _require_namespaces(new)
    _require_memory(new)
    listeners = sum(1 for _ in want.only(Listener))
    agents = listeners + _FILES_PROCESS * sum(1 for _ in want.only(Process))
    _require_files(max(len(namespaces) * _FILES_NETNS, agents) + _FILES_ELSE, len(namespaces), listeners)


def rooms() -> dict[str, int]:
    """How many Pods each resource of this machine is enough for; those without a known limit are left out."""
    with OpenFiles() as allowed:
        files = allowed.limit
    free = available()
    room = {
        "memory": None if free is None else _room(free),
        "network namespaces": _number("/proc/sys/user/max_net_namespaces"),
        "open files": max(0, files - _FILES_ELSE) // (1 + _FILES_PROCESS),
        "processes": _processes(),
    }
    return {name: number for name, number in room.items() if number is not None}


def _processes() -> int | None:
    """How many more processes the control groups and the user's limit allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    limits = [] if os.geteuid() == 0 or soft == resource.RLIM_INFINITY else [soft]
    for folder in _groups():
        most, used = _number(f"{folder}/pids.max"), _number(f"{folder}/pids.current")
        if most is not None and used is not None:
            limits.append(max(0, most - used))
    return min(limits, default=None)


def _room(free: int) -> int:
    return (free - min(_LEFT_ALONE, free // 10)) // _BYTES


def _require_memory(new: int) -> None:
    free = available()
    if free is None:
        return
    room = _room(free)
    if new > room:
        raise HostLacks(
            f"{new:,} new namespaces take about {new * _BYTES // _MB:,} MB of memory, and {free // _MB:,} MB are free",
            hint=f"free memory, or take a smaller lab: this machine has room for about {room:,} more Pods",
        )


def _require_files(files: int, namespaces: int, listeners: int) -> None:
    with OpenFiles() as allowed:
        limit = allowed.limit
    if files > limit:
        raise HostLacks(
            f"{namespaces:,} namespaces and {listeners:,} ports that Pods serve take about {files:,} open files, and this "
            f"process may have {limit:,}",
            hint=f"as root, before netlab: ulimit -n {files}; in a container: --ulimit nofile={files}",
        )


def _require_namespaces(new: int) -> None:
    most = _number("/proc/sys/user/max_net_namespaces")
    if most is not None and new > most:
        raise HostLacks(
            f"the lab has {new:,} new network namespaces, and this machine allows {most:,} to a user",
            hint=f"sudo sysctl -w user.max_net_namespaces={max(15000, 2 * new)}",
        )


def available() -> int | None:
    """Available memory in bytes, also by the limit of the control group; None if it is unknown."""
    limits = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))))
    except (OSError, ValueError, StopIteration):
        pass
    for folder in _groups():
        most, used = _number(f"{folder}/memory.max"), _number(f"{folder}/memory.current")
        if most is not None and used is not None:
            limits.append(max(0, most - used + _given_back(f"{folder}/memory.stat")))
    return min(limits, default=None)


def _groups() -> tuple[str, str]:
    """The folders of this process's control group and of all groups' root, which in a container is its own."""
    try:
        group = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        group = "/"
    return f"/sys/fs/cgroup{group}", "/sys/fs/cgroup"


def _given_back(path: str) -> int:
    """Bytes of files' contents in a control group, which counts them and lets them go when others need room."""
    try:
        words = [line.split() for line in Path(path).read_text().splitlines()]
    except OSError:
        return 0
    return sum(int(pair[1]) for pair in words if pair[0] in ("active_file", "inactive_file", "slab_reclaimable"))


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # "max": no limit
        return None
