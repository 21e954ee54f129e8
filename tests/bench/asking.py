"""DNS questions in a namespace, as fast as one socket can ask, or until a name and what stands behind it answer.

python tests/bench/asking.py rate NETNS SERVER SECONDS NAME...   the answers a second that have an address in them
python tests/bench/asking.py wait NETNS SERVER NAME PORT         the times (CLOCK_MONOTONIC) when NAME had an address,
                                                                 and when a connection to it was made
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time

WINDOW = 64  # questions under way at a time, as of a few dozen Pods that ask one each
_SETNS = 0x40000000  # CLONE_NEWNET


def enter(netns: str) -> None:
    """Be in a named namespace."""
    import ctypes

    fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, _SETNS):
        raise OSError(ctypes.get_errno(), f"setns {netns}")
    os.close(fd)


def question(number: int, name: str) -> bytes:
    """For the address of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack(">6H", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def address(answer: bytes) -> str:
    """The last record's, which is the address; "" where there is none."""
    status, answers = answer[3] & 0xF, struct.unpack(">H", answer[6:8])[0]
    return socket.inet_ntoa(answer[-4:]) if status == 0 and answers else ""


def rate(server: str, seconds: float, names: list[str]) -> float:
    """Right answers a second."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((server, 53))
    sock.settimeout(0.5)
    asked = right = 0
    began = time.perf_counter()
    for _ in range(WINDOW):
        sock.send(question(asked, names[asked % len(names)]))
        asked += 1
    while (passed := time.perf_counter() - began) < seconds:
        try:
            right += address(sock.recv(512)) != ""
        except TimeoutError:
            pass  # lost: its place is taken by another
        sock.send(question(asked, names[asked % len(names)]))
        asked += 1
    return right / passed


def wait(server: str, name: str, port: int) -> tuple[float, float]:
    """When the name had an address, and when a connection was made."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((server, 53))
    sock.settimeout(0.2)
    named = 0.0
    for number in range(10**9):
        try:
            sock.send(question(number, name))
            where = address(sock.recv(512))
            if where:
                named = named or time.monotonic()
                socket.create_connection((where, port), 0.2).close()
                return named, time.monotonic()
        except OSError:
            pass
        time.sleep(0.002)
    raise AssertionError


def main(verb: str, netns: str, server: str, *rest: str) -> None:
    """One of the verbs above."""
    enter(netns)
    said: object = (
        rate(server, float(rest[0]), list(rest[1:])) if verb == "rate" else wait(server, rest[0], int(rest[1]))
    )
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
