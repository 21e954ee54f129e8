"""Entering one namespace after another, cheaply; only for a worker's thread."""

from __future__ import annotations

import os

from netlab.kernel.host.netns import open_named, setns

OPEN_MAX = 256  # namespaces held open: a system call saved for each return to a source


class Spaces:
    """The calling thread's way from namespace to namespace.  ``close`` before the worker takes the thread home."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        self._here = ""

    def enter(self, name: str) -> None:
        """Be in a named namespace.  Raises OSError: there is none of that name, or this process may not enter it."""
        if name == self._here:
            return
        fd = self._open.get(name)
        if fd is None:
            if len(self._open) >= OPEN_MAX:
                os.close(self._open.pop(next(iter(self._open))))
            fd = self._open[name] = open_named(name)
        setns(fd)
        self._here = name

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
        self._here = ""
