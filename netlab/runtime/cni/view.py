"""A node's view of the file system, for programs of the user's that run on it: CNI plugins, and agents.

The host's files, read-only; and folders of the node's own, below the lab's run state, in place of /run, /tmp and
/var/lib/cni (/var/lib where the host has no such folder).  So what host-local, iptables and the like write is the
node's, other nodes do not see it, and it goes with the lab.  /run/netns is the host's: CNI_NETNS names a Pod's there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from netlab.kernel.host.netns import RUN_NETNS
from netlab.runtime.agent import linux

_HIDDEN = ("/run", "/tmp", "/var/lib/cni")


def folder(rundir: Path, node: str) -> Path:
    """Where a node's own files are."""
    return rundir / "cni" / node


def prepared(state: Path, netns: str, visible: Iterable[str] = ()) -> Callable[[], None]:
    """A function that moves a new process into the node ``netns`` (a name): for the child between fork and exec.

    ``state`` is the node's ``folder``; ``visible`` are folders that the process must see even where they lie below one
    that it does not (a lab in /tmp).  The folders are made before, in this process.
    """
    over = []
    for place in _HIDDEN:
        target = place if os.path.isdir(place) else os.path.dirname(place)
        own = state / place.strip("/").replace("/", "-")
        inner = own / os.path.relpath(place, target)
        inner.mkdir(mode=0o755, parents=True, exist_ok=True)
        over.append((own, os.path.realpath(target)))
    names = (str(RUN_NETNS), *(os.path.realpath(each) for each in visible if _is_hidden(each)))
    kept = tuple(dict.fromkeys(names))
    for place in kept:
        for own, target in over:
            if place.startswith(f"{target}/"):
                (own / os.path.relpath(place, target)).mkdir(parents=True, exist_ok=True)

    def enter() -> None:
        network = os.open(RUN_NETNS / netns, os.O_RDONLY | os.O_CLOEXEC)
        linux.setns(network, linux.CLONE_NEWNET)
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount("", "/", "", linux.MS_REC | linux.MS_PRIVATE)
        # Before anything is mounted over them; a descriptor of another mount namespace cannot be bound.
        mounts = [(_opened(own), target) for own, target in over] + [(_opened(place), place) for place in kept]
        with contextlib.suppress(OSError):  # Linux before 5.12: the host's files can be written, as by any plugin
            linux.freeze_mounts("/", linux.MS_RDONLY)
            linux.thaw_mounts("/proc")
        with contextlib.suppress(OSError):  # that of the node's own network; a container may not mount it
            linux.mount("sysfs", "/sys", "sysfs")
        for fd, target in mounts:
            linux.mount(f"/proc/self/fd/{fd}", target, "", linux.MS_BIND | linux.MS_REC)
            with contextlib.suppress(OSError):
                if target not in kept:
                    linux.thaw_mounts(target)

    return enter


def _opened(path: str | Path) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _is_hidden(path: str) -> bool:
    real = os.path.realpath(path)
    return any(real.startswith(f"{os.path.realpath(place)}/") for place in _HIDDEN)
