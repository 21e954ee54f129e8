"""The system calls that Python 3.11 does not offer: namespaces, mounts, capabilities.

Errors are OSError with the call's name and its path, since a bare ``[Errno 22]`` from a mount says nothing.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct

from netlab.libc import check, libc, syscall

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 0x1000, 0x4000, 1 << 18, 1 << 19
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME = 1, 4, 15
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 23, 24, 38
PR_SET_CHILD_SUBREAPER = 36
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

# Docker's default set without MKNOD, and with NET_ADMIN: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP
# NET_BIND_SERVICE NET_ADMIN NET_RAW SYS_CHROOT AUDIT_WRITE SETFCAP.  Not SYS_PTRACE: it would open /proc/1.
CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 12, 13, 18, 29, 31})

# A kubelet's default is no limit (podPidsLimit: -1); managed clusters set 1,024 to 4,096.
PIDS_MAX = 1024
_RESERVED_PIDS = 300  # linux/pid.h: a namespace does not give the numbers below a second time
# Older kernels have a single pid_max for the machine: a write from a Pod would change the host.
LIMITS_PIDS = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) >= (6, 14)


_AT_RECURSIVE = 0x8000
_CAPABILITY_VERSION_3 = 0x20080522


def setns(fd: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace behind ``fd``, or (pidfd) into the ``kind`` namespaces of a process.

    For PID namespaces only the children move.  A mount namespace needs a single-threaded caller (EINVAL).
    """
    check(libc.setns(fd, kind), "setns")


def unshare(kinds: int) -> None:
    """New namespaces of these kinds for the caller; for PID only its later children are in it."""
    check(libc.unshare(kinds), "unshare")


def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """Attach a file system; most file systems ignore ``source``, binds and remounts ignore ``fstype``."""
    result = libc.mount(
        os.fsencode(source), os.fsencode(target), fstype.encode() or None, flags, os.fsencode(data) or None
    )
    check(result, f"mount {fstype or 'bind'}", target)


def freeze_mounts(target: str, flags: int) -> None:
    """Add ``flags`` (MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC) to a mount and all mounts below it, at once.

    mount_setattr(2), Linux 5.12 or newer.  Other flags stay, so it works on mounts whose flags a user namespace locks.
    """
    _set_attributes(target, flags & 0xF, 0)  # the values are the same


def thaw_mounts(target: str) -> None:
    """Take MS_RDONLY from a mount and all mounts below it: the inverse of ``freeze_mounts`` in the same namespace."""
    _set_attributes(target, 0, MS_RDONLY)


def _set_attributes(target: str, give: int, take: int) -> None:
    attributes = ctypes.create_string_buffer(struct.pack("=4Q", give, take, 0, 0))
    result = syscall("mount_setattr", -100, os.fsencode(target), _AT_RECURSIVE, attributes, 32)
    check(result, "mount_setattr", target)


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """Detach a mount, by default with all mounts below, and finished when the last user is gone."""
    check(libc.umount2(os.fsencode(target), flags), "umount", target)


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root of this mount namespace and put the old root on ``old``."""
    check(syscall("pivot_root", os.fsencode(new), os.fsencode(old)), "pivot_root", new)


def sethostname(name: str) -> None:
    """The host name of the caller's UTS namespace, cut at 64 bytes."""
    raw = name.encode()[:64]  # __NEW_UTS_LEN
    check(libc.sethostname(raw, len(raw)), "sethostname", name)


def prctl(option: int, argument: int = 0, address: int = 0) -> int:
    """The call's result; -1 if the kernel refuses."""
    return int(libc.prctl(option, argument, address, 0, 0))


def set_comm(name: str) -> None:
    """Set the name that ``ps -o comm`` shows: 15 bytes."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    libc.prctl(PR_SET_NAME, ctypes.addressof(buffer), 0, 0, 0)


def set_title(words: list[str]) -> None:
    """Set the title that ``ps`` shows.  It replaces the arguments of the process, as far as they reach."""
    with open("/proc/self/stat", "rb") as stat:
        start, end = map(int, stat.read().rpartition(b")")[2].split()[45:47])  # arg_start, arg_end: fields 48, 49
    raw = b"\0".join(word.encode() for word in words)[: end - start - 1]
    ctypes.memmove(start, raw.ljust(end - start, b"\0"), end - start)


def limit_pids() -> None:
    """Limit the caller's PID namespace to ``PIDS_MAX`` processes if the kernel can: fork then fails with EAGAIN."""
    if LIMITS_PIDS:
        with open("/proc/sys/kernel/pid_max", "w", encoding="ascii") as file:
            file.write(f"{PIDS_MAX + _RESERVED_PIDS}\n")


def limit_capabilities(allowed: frozenset[int]) -> None:
    """Keep only the ``allowed`` capabilities, for the process and its programs, permanently.

    The bounding set goes first (that needs CAP_SETPCAP), then the process's own sets.  The inheritable set ends
    empty: root's programs get their capabilities from the bounding set.  no_new_privs closes setuid programs.
    """
    for number in range(64):
        present = prctl(PR_CAPBSET_READ, number)
        if present < 0:
            break
        if present and number not in allowed:
            prctl(PR_CAPBSET_DROP, number)
    prctl_ambient = libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if prctl_ambient < 0 and ctypes.get_errno() != 22:  # EINVAL: older than 4.3, has none
        check(prctl_ambient, "prctl PR_CAP_AMBIENT")
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    check(libc.capget(header, data), "capget")
    mask = sum(1 << number for number in allowed)
    permitted_low, permitted_high = struct.unpack_from("=4xI8xI", data.raw)
    low, high = permitted_low & mask & 0xFFFFFFFF, permitted_high & (mask >> 32)
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0))
    check(libc.capset(header, data), "capset")
    if prctl(PR_SET_NO_NEW_PRIVS, 1) < 0:
        raise OSError("prctl PR_SET_NO_NEW_PRIVS refused")
