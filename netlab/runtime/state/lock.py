"""One writer a lab: an flock on /run/netlab/.lock/<lab>, which is removed with the lab."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from netlab.errors import NeedsRoot, StateError
from netlab.runtime.state.rundir import RUN

LOCKS = RUN / ".lock"
PATIENCE = 30.0  # seconds


@contextlib.contextmanager
def locked(lab: str, say: Callable[[str], None] = lambda _: None, patience: float = PATIENCE) -> Iterator[Path]:
    """Hold the lab's lock; yields its path.  ``say`` gets one message if it must wait.

    Raises StateError after ``patience`` seconds.  ``down`` removes the file under the lock; so a taker looks again
    whether the file that it locked is still the one that is there.
    """
    path = LOCKS / lab
    deadline = time.monotonic() + patience
    announced = False
    while True:
        try:
            LOCKS.mkdir(mode=0o755, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except (FileNotFoundError, FileExistsError):
            # The folder went with another lab just now, perhaps between two looks of mkdir; or a file is in its place.
            if LOCKS.is_file() or time.monotonic() > deadline:
                raise
            continue
        except PermissionError as error:
            raise NeedsRoot(f"this needs root: {path} cannot be written") from error
        try:
            if _take(fd) and _same(fd, path):
                os.ftruncate(fd, 0)
                os.pwrite(fd, str(os.getpid()).encode(), 0)
                try:
                    yield path
                finally:
                    # A lab that never came to be (bad input, a host that cannot) leaves no lock either.
                    if not (RUN / lab).is_dir() and _same(fd, path):
                        remove(path)
                return
            if not _same(fd, path):
                continue
            holder = os.pread(fd, 32, 0).decode(errors="replace") or "another process"
            if not announced:
                say(f"lab {lab} is being changed by process {holder}; waiting for it (at most {patience:.0f} s)")
                announced = True
            if time.monotonic() > deadline:
                raise StateError(
                    f"lab {lab} has been held by process {holder} for {patience:.0f} s", hint=f"ps -p {holder}"
                )
            time.sleep(0.05)
        finally:
            os.close(fd)


def remove(path: Path) -> None:
    """Remove a lock that is held, and the folders that it was the last in."""
    path.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same(fd: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return (there.st_ino, there.st_dev) == (held.st_ino, held.st_dev)
