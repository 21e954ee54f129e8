"""What a trace costs those whom it does not follow: connections between two Pods, with its sources open and without.

``python tests/bench/armed.py LAB SOURCE TARGET ADDRESS [COUNT]``: connects and resets COUNT times, with the sources closed
and armed for another flow in turn, and prints as JSON the microseconds of processor time that one takes, by turn.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from netlab.kernel.host import netns as ns  # noqa: E402
from netlab.kernel.host.threads import close_all  # noqa: E402
from netlab.observe.trace.mark import Mark  # noqa: E402
from netlab.observe.trace.sources import Drops, Frames, Rules  # noqa: E402
from netlab.runtime.state.rundir import RunDir  # noqa: E402

PORT = 8098
_RESET = struct.pack("ii", 1, 0)


def connections(netns: str, server: socket.socket, address: str, count: int) -> float:
    """Microseconds of processor time a connection."""

    def loop() -> float:
        began = time.thread_time()
        for _ in range(count):
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.connect_ex((address, PORT))
            there, _ = server.accept()
            there.close()
            client.close()
        return (time.thread_time() - began) * 1e6 / count

    return ns.call(netns, loop)


def listening(netns: str) -> socket.socket:
    """A server in a namespace."""

    def make() -> socket.socket:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", PORT))
        server.listen(64)
        server.settimeout(5)
        return server

    return ns.call(netns, make)


def main(lab: str, source: str, target: str, address: str, count: int = 1500) -> dict[str, list[float]]:
    """By whether a trace was armed, a value a turn."""
    names = [name for name in RunDir(lab).assignments().netns if (ns.RUN_NETNS / name).exists()]
    mark = Mark("TCP", 0x12345678, v6=False)
    server = listening(target)
    found: dict[str, list[float]] = {"closed": [], "armed": []}
    connections(source, server, address, count // 4)
    for turn in ("closed", "armed", "armed", "closed") * 2:
        sources = [Rules(names, mark), Frames(names, mark), Drops(names, mark)] if turn == "armed" else []
        try:
            found[turn].append(connections(source, server, address, count))
        finally:
            close_all(closer for one in sources for closer in one.closers())
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:5], *(int(word) for word in sys.argv[5:6]))) + "\n")
