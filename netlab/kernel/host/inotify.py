"""New and removed entries of a folder, by inotify(7), which Python's library does not have."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from netlab.libc import check, libc

_CREATE, _DELETE, _MOVED = 0x100, 0x200, 0x40 | 0x80  # linux/inotify.h


class Watch:
    """Readable when something was made, removed or renamed in a folder.  Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._fd = check(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1", str(folder))
        try:
            events = _CREATE | _DELETE | _MOVED
            check(libc.inotify_add_watch(self._fd, os.fsencode(folder), events), "inotify_add_watch", str(folder))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return int(self._fd)

    def clear(self) -> None:
        """Drain the event queue; callers re-list the directory."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fd, 65536):
                pass

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
