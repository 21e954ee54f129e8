"""The ``sleep 1`` before a page's packet: returns when a tcpdump or a capture of this page's session listens.

A second is enough for a reader; on a busy machine it is not, and elsewhere it is a second lost.  What listens has the ring
of a packet socket in its memory, has no thread left that opens another, and sleeps until a packet comes.
"""

import os
import sys
import time


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _listens(process, home):
    try:
        return (
            home in _read(f"{process}/environ").split(b"\0")
            and not _read(f"{process}/comm").startswith(b"netlab-agent")
            and b"socket:[" in _read(f"{process}/maps")
            and len(os.listdir(f"{process}/task")) == 1
            and _read(f"{process}/stat").rpartition(b")")[2].split()[0] == b"S"
        )
    except OSError:  # it ended meanwhile
        return False


def main():
    """Wait for a minute at most."""
    home = b"HOME=" + os.environb[b"HOME"]  # a folder of this session's own
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if any(_listens(f"/proc/{name}", home) for name in os.listdir("/proc") if name.isdigit()):
            return 0
        time.sleep(0.02)
    return 1


sys.exit(main())
