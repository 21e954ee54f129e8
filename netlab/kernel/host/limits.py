"""The limit of open files: a lab needs two descriptors per namespace, and many systems start at 1,024."""

from __future__ import annotations

import resource
from pathlib import Path

_MOST = 1 << 20  # fs.nr_open's own default


def raise_open_files() -> int:
    """Raise the limit as far as allowed, with CAP_SYS_RESOURCE also beyond the hard limit.

    The table of open files grows only with what is open: a high limit costs nothing.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        allowed = min(int(Path("/proc/sys/fs/nr_open").read_text()), _MOST)
    except (OSError, ValueError):
        allowed = _MOST
    for most in (allowed, hard):
        if soft != resource.RLIM_INFINITY and 0 <= soft < most:
            try:
                # a hard limit that is none stays so: who is not root could not put it back
                unlimited = hard == resource.RLIM_INFINITY
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard if unlimited else max(most, hard)))
            except (OSError, ValueError):  # not allowed to lift the hard one
                continue
            return most
    return _MOST if soft == resource.RLIM_INFINITY else soft


class OpenFiles:
    """``raise_open_files`` for as long as the context lasts; ``limit`` is how many there may be in all."""

    def __enter__(self) -> OpenFiles:
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = raise_open_files()
        return self

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
