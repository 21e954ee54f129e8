"""Files below /etc/netns, which ``ip netns exec`` binds over /etc.

A lab has three files a namespace, and on a disk a new inode can cost half a millisecond (measured on ext4: 0.4-0.7 ms;
200 Pods: half a second).  So /etc/netns becomes a tmpfs where nothing stands in it yet; it goes with the last lab.
Where something does stand in it, that stays as it is, and the files go beside it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

from netlab.kernel.host.netns import share_run_netns
from netlab.libc import libc

ETC_NETNS = Path("/etc/netns")
_SOURCE = "netlab"  # what /proc/mounts shows as the device: how our mount is told from anybody else's
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MNT_DETACH = 2, 4, 8, 2


def prepare() -> None:
    """Share /run/netns, and make /etc/netns, as a tmpfs where it is new or empty.  Idempotent."""
    share_run_netns()
    ETC_NETNS.mkdir(mode=0o755, parents=True, exist_ok=True)
    if any(ETC_NETNS.iterdir()) or _mounted():
        return
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    # Where the mount is refused (some containers), the plain folder serves; it is only slower.
    libc.mount(_SOURCE.encode(), str(ETC_NETNS).encode(), b"tmpfs", flags, b"mode=755,size=64m")


def write(path: str, content: str, *, replace: bool) -> None:
    """Write a file; with ``replace`` readers see the old or the new one, never half of it."""
    target = f"{path}.new" if replace else path
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        fd = os.open(target, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(target, flags, 0o644)
    with open(fd, "wb") as stream:
        stream.write(content.encode())
    if replace:
        os.rename(target, path)


_CHUNK = 1 << 16


def read(path: str) -> str | None:
    """A file's text; None where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:  # by hand: a file object costs three times the read, and a lab has three files a Pod
        parts = [os.read(fd, _CHUNK)]
        while len(parts[-1]) == _CHUNK:  # a zone of 10,000 Services has 6 MB
            parts.append(os.read(fd, _CHUNK))
    finally:
        os.close(fd)
    return b"".join(parts).decode(errors="replace")


def remove(path: str) -> None:
    """Remove a file, and its folder if nothing else is in it.  Idempotent."""
    for leftover in (path, f"{path}.new"):
        with contextlib.suppress(OSError):
            os.unlink(leftover)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


def remove_all(netns: str) -> None:
    """Remove the files of a namespace that netlab writes, and its folder if nothing else is in it.  Idempotent."""
    folder = f"{ETC_NETNS}/{netns}"
    with contextlib.suppress(OSError):
        for file in os.listdir(folder):
            if file in ("hosts", "resolv.conf", "hostname") or file.endswith((".zone", ".conf")):
                remove(f"{folder}/{file}")
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def tidy() -> None:
    """Take the tmpfs away when the last lab's files are gone.

    The folder stays, as iproute2 leaves it: with it would go what is mounted there in other mount namespaces, which are
    other labs' files, and from here nothing tells whether there are any.
    """
    try:
        if any(ETC_NETNS.iterdir()):
            return
    except OSError:
        return
    if _mounted():
        libc.umount2(str(ETC_NETNS).encode(), _MNT_DETACH)


def _mounted() -> bool:
    """Whether the mount that is seen there is ours: in a user's own namespaces, root's is beneath another."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as stream:
        mounts = [line.split(" ", 2) for line in stream]
    sources = [source for source, place, _ in mounts if place == str(ETC_NETNS)]
    return sources[-1:] == [_SOURCE]
