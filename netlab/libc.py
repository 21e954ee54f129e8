"""The C library: system calls that Python's own modules do not have, and their errors.

The agent uses it too, so it is made of the standard library alone.
"""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
libc.sethostname.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

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
