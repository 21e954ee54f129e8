"""tcpdump's filter language, compiled by its own library.

libpcap comes with tcpdump.  It is called through ctypes, not through ``tcpdump -ddd``: its sentence about a wrong
expression comes without tcpdump's name, and no process is started (15 ms).
"""

from __future__ import annotations

import ctypes
from functools import cache

from netlab.errors import BadInput, HostCannot
from netlab.observe.capture.bpf import SNAP, Program

_NAMES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")  # Debian's, everybody else's, a developer's
_ETHERNET = 1  # DLT_EN10MB
_NETMASK_UNKNOWN = 0xFFFFFFFF


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


@cache
def _library() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
        library.pcap_compile.argtypes = [
            ctypes.c_void_p,
            ctypes.POINTER(_Program),
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_uint32,
        ]
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_geterr.argtypes = [ctypes.c_void_p]
        library.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]
        library.pcap_close.argtypes = [ctypes.c_void_p]
        return library
    raise HostCannot(
        "a filter needs libpcap, which this host lacks: it comes with tcpdump",
        hint="apt-get install tcpdump (or dnf, apk add, pacman -S)",
    )


def compiled(expression: str) -> Program:
    """The program of an expression for Ethernet frames.  Raises BadInput with libpcap's own sentence."""
    library = _library()
    if "\0" in expression:
        raise BadInput("the filter has a NUL in it")
    handle = library.pcap_open_dead(_ETHERNET, SNAP)
    if not handle:
        raise HostCannot("libpcap has no memory to compile a filter")
    program = _Program()
    try:
        if library.pcap_compile(handle, ctypes.byref(program), expression.encode(), 1, _NETMASK_UNKNOWN) < 0:
            message = library.pcap_geterr(handle).decode(errors="replace")
            raise BadInput(f"the filter {expression!r}: {message}", hint="man pcap-filter has the language")
        try:
            code = (program.instructions[index] for index in range(program.length))
            return tuple((instruction.code, instruction.jt, instruction.jf, instruction.k) for instruction in code)
        finally:
            library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)
