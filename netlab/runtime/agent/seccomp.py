"""The seccomp filter for a Pod's command and its children.

Capabilities and namespaces refuse most of these system calls already.  The filter removes rarely needed kernel
interfaces with frequent faults: io_uring, keyrings, userfaultfd, new namespaces.  The list is the default profile of
container runtimes for an unprivileged container.  ptrace stays: a Pod's processes may trace each other, and the Pod's
first process cannot be traced.

A program of another architecture (32 bits on a 64-bit kernel) has other numbers, so it gets no system calls.  Without
seccomp in the kernel, or without numbers for the machine, there is no filter.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from netlab.runtime.agent import linux

# (x86_64, aarch64), from asm/unistd_64.h and asm-generic/unistd.h; 0: it has none
DENIED = {
    "_sysctl": (156, 0),
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, 0),
    "iopl": (172, 0),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_MACHINES = {"x86_64": (0, 0xC000003E, 56), "aarch64": (1, 0xC00000B7, 220)}  # column, AUDIT_ARCH_*, number of clone
_CLONE3 = 435  # everywhere
_NEW_NAMESPACES = 0x7E020000  # clone's flags CLONE_NEWNS to CLONE_NEWNET
_X32 = 0x40000000  # x86_64: set in the numbers of its third instruction set

_NUMBER, _ARCH, _ARGUMENT_0 = 0, 4, 16  # in struct seccomp_data
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def program(machine: str) -> bytes:
    """The filter's instructions (struct sock_filter); none for a machine without numbers."""
    if machine not in _MACHINES:
        return b""
    column, arch, clone = _MACHINES[machine]
    numbers = [both[column] for both in DENIED.values() if both[column]]
    allow, deny, absent = (8 + len(numbers) + n for n in range(3))
    code: list[tuple[int, int, int, int]] = []  # operation, operand, where to go if so, if not (0: on)
    code += [(_LOAD, _ARCH, 0, 0), (_EQUAL, arch, 0, deny), (_LOAD, _NUMBER, 0, 0), (_AT_LEAST, _X32, deny, 0)]
    code += [(_EQUAL, _CLONE3, absent, 0)]  # its flags are in memory; the C library goes back to clone
    code += [(_EQUAL, number, deny, 0) for number in numbers]
    code += [(_EQUAL, clone, 0, allow), (_LOAD, _ARGUMENT_0, 0, 0), (_BITS, _NEW_NAMESPACES, deny, allow)]
    code += [(_RETURN, _ALLOW, 0, 0), (_RETURN, _ERRNO | errno.EPERM, 0, 0), (_RETURN, _ERRNO | errno.ENOSYS, 0, 0)]
    return b"".join(
        struct.pack("=HBBI", operation, then and then - at - 1, other and other - at - 1, operand)
        for at, (operation, operand, then, other) in enumerate(code)
    )


def refuse() -> None:
    """Install the filter on the calling process, permanently; it must have set no_new_privs."""
    code = program(os.uname().machine)
    if code:
        buffer = ctypes.create_string_buffer(code, len(code))
        head = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))
        linux.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head))
