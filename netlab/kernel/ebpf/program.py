"""BPF programs from nothing but Python: instructions, maps, loading, a raw tracepoint, a ring buffer.

Numbers: linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Iterator

from netlab.libc import check, syscall

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD, _RAW_TRACEPOINT_OPEN, _MAP_FREEZE = 0, 1, 2, 5, 17, 22
HASH, ARRAY, RINGBUF = 1, 2, 27
READ_ONLY = 1 << 7  # BPF_F_RDONLY_PROG
_RAW_TRACEPOINT = 17
_BUSY, _DISCARDED = 1 << 31, 1 << 30

# helpers
LOOKUP, KTIME, PROBE_READ, RESERVE, SUBMIT, DISCARD, SNPRINTF = 1, 5, 113, 131, 132, 133, 165


def _bpf(command: int, attributes: bytes) -> int:
    if ctypes.sizeof(ctypes.c_void_p) != 8:  # the programs read the kernel's pointers as 64 bits
        raise OSError(errno.ENOSYS, "BPF programs of netlab need a 64-bit process")
    given = ctypes.create_string_buffer(attributes, max(len(attributes), 120))
    return check(syscall("bpf", command, given, len(given)), "bpf")


def new_map(kind: int, key: int, value: int, entries: int, flags: int = 0) -> int:
    """A map's descriptor."""
    return _bpf(_MAP_CREATE, struct.pack("=IIIII", kind, key, value, entries, flags))


def put(fd: int, key: bytes, value: bytes) -> None:
    """Write an entry."""
    key_buffer = ctypes.create_string_buffer(key, len(key))
    value_buffer = ctypes.create_string_buffer(value, len(value))
    _bpf(_MAP_UPDATE, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(key_buffer), ctypes.addressof(value_buffer), 0))


def get(fd: int, key: bytes, size: int) -> bytes:
    """Read an entry."""
    key_buffer, value_buffer = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(size)
    _bpf(_MAP_LOOKUP, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(key_buffer), ctypes.addressof(value_buffer), 0))
    return value_buffer.raw


def freeze(fd: int) -> None:
    """Make a map read-only: the kernel then treats its text as constant."""
    _bpf(_MAP_FREEZE, struct.pack("=I", fd))


def load(code: bytes) -> int:
    """Load a raw tracepoint's program; OSError has the verifier's last lines where it refuses."""
    text, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")

    def attributes(level: int, log: ctypes.Array[ctypes.c_char] | None) -> bytes:
        address = ctypes.addressof(log) if log is not None else 0
        size = len(log) if log is not None else 0
        head = (_RAW_TRACEPOINT, len(code) // 8, ctypes.addressof(text), ctypes.addressof(licence))
        return struct.pack("=IIQQIIQII16s", *head, level, size, address, 0, 0, b"netlab")

    try:
        return _bpf(_PROG_LOAD, attributes(0, None))
    except OSError as error:
        if error.errno == 1:
            raise
        log = ctypes.create_string_buffer(1 << 18)
        try:
            return _bpf(_PROG_LOAD, attributes(1, log))
        except OSError as again:
            lines = log.value.decode(errors="replace").strip().splitlines()
            raise OSError(again.errno, "; ".join((again.strerror or "", *lines[-3:-1]))) from None


def attach(program: int, tracepoint: str) -> int:
    """Attach to a raw tracepoint; closing the descriptor detaches."""
    name = ctypes.create_string_buffer(tracepoint.encode())
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(name), program))


class Code:
    """Instructions under construction; registers by number, r10 is the frame."""

    def __init__(self) -> None:
        self._code: list[list[int]] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def raw(self, op: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> None:
        self._code.append([op, to, source, offset, value])

    def move(self, to: int, source: int) -> None:
        self.raw(0xBF, to, source)

    def set(self, to: int, value: int) -> None:
        self.raw(0xB7, to, 0, 0, value)

    def set64(self, to: int, value: int) -> None:
        """As ``set``, but the value's sign is not extended."""
        self.raw(0x18, to, 0, 0, value & 0x7FFFFFFF if value < 1 << 31 else value - (1 << 32))
        self.raw(0, 0, 0, 0, value >> 32)

    def add(self, to: int, value: int) -> None:
        self.raw(0x07, to, 0, 0, value)

    def add_register(self, to: int, source: int) -> None:
        self.raw(0x0F, to, source)

    def mask(self, to: int, value: int) -> None:
        self.raw(0x57, to, 0, 0, value)

    def load(self, size: int, to: int, source: int, offset: int) -> None:
        self.raw({1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}[size], to, source, offset)

    def store(self, size: int, to: int, offset: int, source: int) -> None:
        self.raw({1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}[size], to, source, offset)

    def store_value(self, size: int, to: int, offset: int, value: int) -> None:
        self.raw({1: 0x72, 2: 0x6A, 4: 0x62, 8: 0x7A}[size], to, 0, offset, value)

    def count(self, to: int, source: int) -> None:
        """Add a register to the eight bytes that another points to, at once."""
        self.raw(0xDB, to, source)

    def call(self, helper: int) -> None:
        self.raw(0x85, 0, 0, 0, helper)

    def map(self, to: int, fd: int) -> None:
        self.raw(0x18, to, 1, 0, fd)
        self.raw(0)

    def map_value(self, to: int, fd: int) -> None:
        """The address of an array's first entry."""
        self.raw(0x18, to, 2, 0, fd)
        self.raw(0)

    def jump_equal(self, register: int, value: int, label: str) -> None:
        self._jumps.append((len(self._code), label))
        self.raw(0x15, register, 0, 0, value)

    def jump_same(self, register: int, other: int, label: str) -> None:
        """If two registers are equal."""
        self._jumps.append((len(self._code), label))
        self.raw(0x1D, register, other)

    def jump_unequal(self, register: int, value: int, label: str) -> None:
        self._jumps.append((len(self._code), label))
        self.raw(0x55, register, 0, 0, value)

    def jump(self, label: str) -> None:
        self._jumps.append((len(self._code), label))
        self.raw(0x05)

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def end(self) -> None:
        self.set(0, 0)
        self.raw(0x95)

    def done(self) -> bytes:
        for at, label in self._jumps:
            self._code[at][3] = self._labels[label] - at - 1
        return b"".join(
            struct.pack("=BBhi", op, source << 4 | to, offset, value) for op, to, source, offset, value in self._code
        )


class Ring:
    """The reader's side of a ring buffer."""

    def __init__(self, size: int) -> None:
        self.fd = new_map(RINGBUF, 0, 0, size)
        self._size = size
        page = mmap.PAGESIZE
        self._read = mmap.mmap(self.fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._written = mmap.mmap(self.fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)

    def read(self) -> Iterator[bytes]:
        """The records that are complete, in order; not those that come meanwhile."""
        page = mmap.PAGESIZE
        (at,) = struct.unpack_from("=Q", self._read, 0)
        (end,) = struct.unpack_from("=Q", self._written, 0)
        while at < end:
            start = page + (at & (self._size - 1))
            (length,) = struct.unpack_from("=I", self._written, start)
            if length & _BUSY:
                return
            size = length & ~_DISCARDED
            if not length & _DISCARDED:
                yield self._written[start + 8 : start + 8 + size]
            at += (size + 15) & ~7
            struct.pack_into("=Q", self._read, 0, at)

    def close(self) -> None:
        """Close the program."""
        self._read.close()
        self._written.close()
        os.close(self.fd)
