"""The seccomp filters: for a Pod's command and its children, and for programs in a user namespace of a single user.

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

from netlab.libc import ARCHITECTURE, architecture, syscall_number
from netlab.runtime.agent import linux

DENIED = (
    *("_sysctl", "acct", "add_key", "bpf", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64"),
    *("delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module"),
    *("io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load"),
    *("kexec_load", "keyctl", "mount", "mount_setattr", "move_mount", "open_by_handle_at", "open_tree"),
    *("perf_event_open", "pivot_root", "quotactl", "quotactl_fd", "reboot", "request_key", "setns", "settimeofday"),
    *("stime", "swapoff", "swapon", "syslog", "umount", "umount2", "unshare", "userfaultfd", "vm86", "vm86old"),
)
# linux/audit.h: AUDIT_ARCH_* by `uname -m`, of processes with the machine's bits; s390x has clone's flags elsewhere
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3, "loongarch64": 0xC0000102}
_AUDIT_32 = {"i386": 0x40000003, "arm": 0x40000028}
_NEW_NAMESPACES = 0x7E020000  # clone's flags CLONE_NEWNS to CLONE_NEWNET
_X32 = 0x40000000  # x86_64: set in the numbers of its third instruction set

_NUMBER, _ARCH, _ARGUMENT_0 = 0, 4, 16  # in struct seccomp_data
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def program(machine: str, bits: int = 64) -> bytes:
    """The filter's instructions (struct sock_filter); none for a machine without numbers."""
    column = architecture(machine, bits)
    arch = _AUDIT_32.get(column) or _AUDIT.get(machine)
    if not (column and arch):
        return b""
    numbers = [number for number in (syscall_number(name, column) for name in DENIED) if number]
    clone, clone3 = (syscall_number(name, column) for name in ("clone", "clone3"))
    allow, deny, absent = (8 + len(numbers) + n for n in range(3))
    code: list[tuple[int, int, int, int]] = []  # operation, operand, where to go if so, if not (0: on)
    code += [(_LOAD, _ARCH, 0, 0), (_EQUAL, arch, 0, deny), (_LOAD, _NUMBER, 0, 0), (_AT_LEAST, _X32, deny, 0)]
    code += [(_EQUAL, clone3, absent, 0)]  # its flags are in memory; the C library goes back to clone
    code += [(_EQUAL, number, deny, 0) for number in numbers]
    code += [(_EQUAL, clone, 0, allow), (_LOAD, _ARGUMENT_0, 0, 0), (_BITS, _NEW_NAMESPACES, deny, allow)]
    code += [(_RETURN, _ALLOW, 0, 0), (_RETURN, _ERRNO | errno.EPERM, 0, 0), (_RETURN, _ERRNO | errno.ENOSYS, 0, 0)]
    return _packed(code)


def _packed(code: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(
        struct.pack("=HBBI", operation, then and then - at - 1, other and other - at - 1, operand)
        for at, (operation, operand, then, other) in enumerate(code)
    )


def refuse() -> None:
    """Install the filter on the calling process, permanently; it must have set no_new_privs."""
    _install(program(os.uname().machine, 8 * ctypes.sizeof(ctypes.c_void_p)))


def answer(name: str, error: int) -> None:
    """From now on a system call does nothing and returns an errno (0: it succeeds), for this process and its children."""
    column, machine = ARCHITECTURE, os.uname().machine
    arch, number = _AUDIT_32.get(column) or _AUDIT.get(machine), syscall_number(name)
    if arch and number:
        code = [(_LOAD, _ARCH, 0, 0), (_EQUAL, arch, 0, 4), (_LOAD, _NUMBER, 0, 0), (_EQUAL, number, 5, 4)]
        _install(_packed([*code, (_RETURN, _ALLOW, 0, 0), (_RETURN, _ERRNO | error, 0, 0)]))


def _install(code: bytes) -> None:
    if code:
        buffer = ctypes.create_string_buffer(code, len(code))
        head = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))
        linux.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head))
