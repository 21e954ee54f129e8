"""Frames at a given rate: the load of the benchmark of ``netlab capture``.

``python tests/bench/load.py RATE SECONDS SIZE NETNS:INTERFACE...``: sends RATE frames a second (0: as many as it can) of
SIZE bytes, from the interfaces in turn, by sendmmsg in batches.  Prints how many it sent and the rate that it reached.
They are UDP in IPv4 to a group address that no bridge passes on (LLDP's), so that the receiver's side costs little.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import time

BATCH = 32
_libc = ctypes.CDLL(None, use_errno=True)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


def _frame(number: int, size: int) -> bytes:
    ip = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, size - 14, number, 0x4000, 64, 17, 0, bytes((10, 9, 0, 1)), bytes((10, 9, 0, 2))
    )
    udp = struct.pack(">HHHH", 40000, 9, size - 34, 0)
    head = bytes.fromhex("0180c200000e0a99000000010800") + ip + udp + struct.pack(">I", number)
    return head.ljust(size, b"x")


def _socket(place: str) -> socket.socket:
    netns, _, interface = place.partition(":")
    fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    if _libc.setns(fd, 0x40000000) < 0:
        raise OSError(ctypes.get_errno(), "setns", netns)
    os.close(fd)
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.bind((interface, 0))
    return made


def main(rate: float, seconds: float, size: int, *places: str) -> None:
    """Send, and print ``SENT RATE``."""
    sockets = [_socket(place) for place in places]
    buffers = [ctypes.create_string_buffer(_frame(number, size), size) for number in range(BATCH)]
    vectors = [_Iovec(ctypes.addressof(buffer), size) for buffer in buffers]
    messages = (_Message * BATCH)(*(_Message(None, 0, ctypes.pointer(one), 1, None, 0, 0, 0) for one in vectors))
    sent = turn = 0
    began = time.perf_counter()
    while True:
        now = time.perf_counter() - began
        if now >= seconds:
            break
        if rate and sent > now * rate:
            if sent - now * rate > rate / 2000:  # more than half a millisecond ahead
                time.sleep(0.0002)
            continue
        done = _libc.sendmmsg(sockets[turn % len(sockets)].fileno(), messages, BATCH, 0)
        turn += 1
        if done > 0:
            sent += done
    sys.stdout.write(f"{sent} {sent / (time.perf_counter() - began):.0f}\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
