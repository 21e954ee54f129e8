"""Make the world of a user's labs: namespaces, the map of users, mounts of its own.

A function here runs in a forked child with a single thread.  ``Refused`` says which step the host refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator

from netlab.runtime.agent import linux
from netlab.runtime.client.sandbox import WRAPPERS
from netlab.runtime.host.programs import write_wrappers
from netlab.runtime.rootless.causes import Refusal

_LAYER = "/run/netlab-etc"
#: Of /run: what each world has for itself, also where this one is made in another.
_OWN = frozenset(("netns", "netlab", "lock", os.path.basename(WRAPPERS), os.path.basename(_LAYER)))
_SIOCSIFFLAGS, _UP_RUNNING = 0x8914, 0x41
_PLAIN = linux.MS_NOSUID | linux.MS_NODEV


class Refused(Exception):
    """The host refused a step."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.step)
        self.refusal = refusal


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(Refusal(name, error.errno or 0)) from error


def separate(mapped: Callable[[], bool]) -> None:
    """Leave for new namespaces; children are in the new PID namespace.

    ``mapped``: whether somebody outside has mapped the users, who may map more than the caller's own.
    """
    uid, gid = os.geteuid(), os.getegid()
    with _step("user"):
        linux.unshare(linux.CLONE_NEWUSER)
    with _step("map"):
        if not mapped():
            map_self(uid, gid)
    for name, kind in (("mnt", linux.CLONE_NEWNS), ("net", linux.CLONE_NEWNET), ("pid", linux.CLONE_NEWPID)):
        with _step(name):
            linux.unshare(kind)


def map_self(uid: int, gid: int) -> None:
    """Map root to the caller, and nobody else: the only map that a user may write.  A map that is there stays."""
    if not _read("gid_map"):
        _write("setgroups", "deny")
        _write("gid_map", f"0 {gid} 1")
    if not _read("uid_map"):
        _write("uid_map", f"0 {uid} 1")


def _read(name: str) -> str:
    with open(f"/proc/self/{name}", encoding="ascii") as file:
        return file.read()


def _write(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
        file.write(text)


def furnish() -> None:
    """As the first process of the PID namespace: mounts of its own, and lo up.

    The host's later mounts still appear (a stick in /media): the kernel made this copy a slave of the host's.
    """
    furnish_folders()
    with _step("lo"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP_RUNNING))


def furnish_folders() -> None:
    """/run, /proc and /etc/netns of its own, in mount and PID namespaces that are new."""
    with _step("mount"):
        _run_folder()
        write_wrappers(WRAPPERS)
    with _step("proc"):
        linux.mount("proc", "/proc", "proc", _PLAIN | linux.MS_NOEXEC)
    with _step("etc"):
        _etc_netns()


def _run_folder() -> None:
    """A tmpfs on /run with the host's folders in it, but for those that hold labs.

    Among those folders are the user's own (/run/user/UID), sticks (/run/media) and programs (/run/current-system).
    """
    old = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    with os.scandir(old) as scan:
        entries = [entry for entry in scan if entry.name not in _OWN]
    linux.mount("netlab-run", "/run", "tmpfs", _PLAIN, "mode=755")
    for name, mode in (("netns", 0o755), ("lock", 0o1777)):
        os.mkdir(f"/run/{name}")
        os.chmod(f"/run/{name}", mode)
    for entry in entries:
        target = f"/run/{entry.name}"
        with contextlib.suppress(OSError):  # it went meanwhile, or it is closed to this user
            if entry.is_symlink():
                os.symlink(os.readlink(entry.name, dir_fd=old), target)
            elif entry.is_dir():
                os.mkdir(target)
                linux.mount(f"/proc/self/fd/{old}/{entry.name}", target, flags=linux.MS_BIND | linux.MS_REC)
    os.close(old)


def _etc_netns() -> None:
    """A folder /etc/netns that the world's root may write.

    Where the host has none, /etc gets a layer in which to make it.  Where the kernel makes no such layer (the host's own
    root has two already), its entries are copied into a tmpfs.
    """
    if not os.path.isdir("/etc/netns"):
        upper, work = f"{_LAYER}/upper", f"{_LAYER}/work"
        for folder in (_LAYER, upper, work):
            os.mkdir(folder, 0o755)
        try:
            options = f"lowerdir=/etc,upperdir={upper},workdir={work},userxattr"
            linux.mount("netlab-etc", "/etc", "overlay", _PLAIN, options)
        except OSError:
            _copy_entries("/etc", upper)
            linux.mount(upper, "/etc", flags=linux.MS_BIND | linux.MS_REC)
        os.mkdir("/etc/netns", 0o755)
    linux.mount("netlab-netns", "/etc/netns", "tmpfs", _PLAIN | linux.MS_NOEXEC, "mode=755")


def _copy_entries(source: str, folder: str) -> None:
    """Put in a folder what another has: its folders by mounts, its files as they are now."""
    with os.scandir(source) as entries:
        for entry in entries:
            target = f"{folder}/{entry.name}"
            with contextlib.suppress(OSError):  # closed to this user
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), target)
                elif entry.is_dir():
                    os.mkdir(target)
                    linux.mount(entry.path, target, flags=linux.MS_BIND | linux.MS_REC)
                elif entry.is_file():
                    with open(entry.path, "rb") as old, open(target, "wb") as new:
                        new.write(old.read())
