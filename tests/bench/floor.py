"""The kernel's own limit for `reach`: connections between two Pods by a loop that does nothing else.

``python tests/bench/floor.py SOURCE TARGET ADDRESS [COUNT]``: both ends are this one process, which connects, asks,
answers in one segment, reads and resets, as the prober and the agent do together.  Prints the microseconds that one
takes; the processor's time, since a busy machine moves it less.  Two cores can at most do two of them at a time.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import time

PORT = 8099
_RESET = struct.pack("ii", 1, 0)
_ASK, _ANSWER = b"x" * 77, b"y" * 287  # as many bytes as a probe and its answer have


def main(source: str, target: str, address: str, count: int = 5000) -> float:
    """Microseconds of processor time a connection."""
    _enter(target)
    server = socket.socket()
    server.bind(("0.0.0.0", PORT))
    server.listen(64)
    _enter(source)
    began = time.process_time()
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        client.connect((address, PORT))  # done by the kernel alone: nobody needs to have accepted yet
        client.send(_ASK)
        there, _ = server.accept()
        there.recv(1000)
        there.send(_ANSWER, socket.MSG_MORE)
        there.close()
        client.recv(1000)
        client.close()
    return (time.process_time() - began) * 1e6 / count


def _enter(netns: str) -> None:
    fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) < 0:
        raise OSError(ctypes.get_errno(), "setns", netns)
    os.close(fd)


if __name__ == "__main__":
    sys.stdout.write(f"{main(*sys.argv[1:4], *(int(word) for word in sys.argv[4:5]))}\n")
