"""A sign of life on the reader's terminal, for what takes longer than a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_AFTER = 1.0  # seconds


@contextmanager
def under_way(text: str) -> Iterator[None]:
    """Show ``text`` on a terminal, from a second on until the work is done.  Only for verbs that start no process."""
    if not sys.stderr.isatty():
        yield
        return
    timer = threading.Timer(_AFTER, _show, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _show(text: str) -> None:
    sys.stderr.write(f"{text} ...\r")
    sys.stderr.flush()
