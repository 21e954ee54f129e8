"""The C library: system calls that Python's own modules do not have, and their errors.

The agent uses it too, so it is made of the standard library alone.
"""

from __future__ import annotations

import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
libc.sethostname.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
# With 32 bits glibc's fallocate takes offsets of 32; musl has no other name for its own of 64.
fallocate = getattr(libc, "fallocate64", None) or libc.fallocate
fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

_PR_SET_PDEATHSIG = 1


def check(result: int, call: str, path: str = "") -> int:
    """The result of a call; raises OSError with the call's name, and the path where there is one."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}", path or None)
    return result


def die_with_parent(signal: int) -> None:
    """Have this process get a signal when the thread that made it is gone."""
    check(libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


_COLUMNS = ("x86_64", "i386", "arm", "generic", "s390x", "ppc64le")
# asm/unistd.h of each architecture (generic: arm64, riscv64, loongarch64); 0: it has none
_NUMBERS = {
    "_sysctl": (156, 149, 149, 0, 149, 149),
    "acct": (163, 51, 51, 89, 51, 51),
    "add_key": (248, 286, 309, 217, 278, 269),
    "bpf": (321, 357, 386, 280, 351, 361),
    "clock_adjtime": (305, 343, 372, 266, 337, 347),
    "clock_adjtime64": (0, 405, 405, 0, 0, 0),
    "clock_settime": (227, 264, 262, 112, 259, 245),
    "clock_settime64": (0, 404, 404, 0, 0, 0),
    "clone": (56, 120, 120, 220, 120, 120),
    "clone3": (435, 435, 435, 435, 435, 435),
    "delete_module": (176, 129, 129, 106, 129, 129),
    "fanotify_init": (300, 338, 367, 262, 332, 323),
    "finit_module": (313, 350, 379, 273, 344, 353),
    "fsconfig": (431, 431, 431, 431, 431, 431),
    "fsmount": (432, 432, 432, 432, 432, 432),
    "fsopen": (430, 430, 430, 430, 430, 430),
    "fspick": (433, 433, 433, 433, 433, 433),
    "init_module": (175, 128, 128, 105, 128, 128),
    "io_uring_enter": (426, 426, 426, 426, 426, 426),
    "io_uring_register": (427, 427, 427, 427, 427, 427),
    "io_uring_setup": (425, 425, 425, 425, 425, 425),
    "ioperm": (173, 101, 0, 0, 0, 101),
    "iopl": (172, 110, 0, 0, 0, 110),
    "kcmp": (312, 349, 378, 272, 343, 354),
    "kexec_file_load": (320, 0, 401, 294, 381, 382),
    "kexec_load": (246, 283, 347, 104, 277, 268),
    "keyctl": (250, 288, 311, 219, 280, 271),
    "mount": (165, 21, 21, 40, 21, 21),
    "mount_setattr": (442, 442, 442, 442, 442, 442),
    "move_mount": (429, 429, 429, 429, 429, 429),
    "open_by_handle_at": (304, 342, 371, 265, 336, 346),
    "open_tree": (428, 428, 428, 428, 428, 428),
    "perf_event_open": (298, 336, 364, 241, 331, 319),
    "pivot_root": (155, 217, 218, 41, 217, 203),
    "quotactl": (179, 131, 131, 60, 131, 131),
    "quotactl_fd": (443, 443, 443, 443, 443, 443),
    "reboot": (169, 88, 88, 142, 88, 88),
    "request_key": (249, 287, 310, 218, 279, 270),
    "setgroups": (116, 206, 206, 159, 206, 81),  # of 32-bit numbers of groups
    "setns": (308, 346, 375, 268, 339, 350),
    "settimeofday": (164, 79, 79, 170, 79, 79),
    "stime": (0, 25, 0, 0, 0, 25),
    "swapoff": (168, 115, 115, 225, 115, 115),
    "swapon": (167, 87, 87, 224, 87, 87),
    "syslog": (103, 103, 103, 116, 103, 103),
    "umount": (0, 22, 0, 0, 22, 22),
    "umount2": (166, 52, 52, 39, 52, 52),
    "unshare": (272, 310, 337, 97, 303, 282),
    "userfaultfd": (323, 374, 388, 282, 355, 364),
    "vm86": (0, 166, 0, 0, 0, 113),
    "vm86old": (0, 113, 0, 0, 0, 0),
}
_GENERIC = ("aarch64", "riscv64", "loongarch64")
_WITH_32_BITS = {"x86_64": "i386", "aarch64": "arm"}


def architecture(machine: str, bits: int) -> str:
    """The column of the table for a process of ``bits`` bits on a machine (as `uname -m` has it); empty: none.

    A 32-bit Python on a 64-bit kernel (Raspberry Pi OS) has the numbers of 32 bits.
    """
    if machine.startswith("arm") and not machine.endswith("b"):  # armv6l, armv7l, armv8l; b: big endian
        return "arm"
    if machine in ("i386", "i486", "i586", "i686"):
        return "i386"
    if bits == 32:
        return _WITH_32_BITS.get(machine, "")
    if machine in _GENERIC:
        return "generic"
    return machine if machine in _COLUMNS else ""


ARCHITECTURE = architecture(os.uname().machine, 8 * ctypes.sizeof(ctypes.c_void_p))


def syscall_number(name: str, column: str = ARCHITECTURE) -> int:
    """The number of a system call on an architecture; 0 where it has none."""
    return _NUMBERS[name][_COLUMNS.index(column)] if column else 0


def syscall(name: str, *arguments: object) -> int:
    """The result of a system call by its name; -1 with ctypes' errno where it fails.

    Without a number for this architecture it fails with ENOSYS, as on a kernel that is too old.
    """
    number = syscall_number(name)
    if not number:
        ctypes.set_errno(errno.ENOSYS)
        return -1
    return int(libc.syscall(number, *arguments))
