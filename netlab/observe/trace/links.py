"""The MTU of every link of a namespace, as its kernel has it now: what a trace of a lost packet compares sizes with."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct

_FLAGS, _MTU = 0x8913, 0x8921  # SIOCGIFFLAGS, SIOCGIFMTU
_UP = 1
_REQUEST = struct.Struct("16si20x")


def mtus() -> dict[str, int]:
    """By name the MTU of each link of this thread's namespace, 0 of a link that is down."""
    by_netns = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:

        def ask(command: int, name: str) -> int:
            reply = fcntl.ioctl(asking, command, _REQUEST.pack(name.encode(), 0))
            value: int = _REQUEST.unpack(reply)[1]
            return value

        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # gone meanwhile
                by_netns[name] = ask(_MTU, name) if ask(_FLAGS, name) & _UP else 0
    return by_netns
