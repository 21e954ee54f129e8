"""The namespaces of a trace: something done in each, in one thread; and many slow closes at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from netlab.kernel.host import netns as ns
from netlab.kernel.host import threads

T = TypeVar("T")
_CLOSERS = 64


def in_each(names: Iterable[str], function: Callable[[str], T]) -> dict[str, T]:
    """Call the function inside each namespace; those that are gone, or that nothing can be done in, are left out."""
    worker = ns.Worker()

    def everywhere() -> dict[str, T]:
        found = {}
        for name in names:
            with contextlib.suppress(OSError):
                fd = ns.open_named(name)
                try:
                    ns.setns(fd)
                    found[name] = function(name)
                finally:
                    os.close(fd)
        return found

    try:
        return worker.run(everywhere)
    finally:
        worker.close()


def inside(name: str, function: Callable[[], T]) -> T:
    """Call the function inside a namespace.  Raises OSError where it is gone."""
    worker = ns.Worker()

    def there() -> T:
        fd = ns.open_named(name)
        try:
            with ns.inside(fd):
                return function()
        finally:
            os.close(fd)

    try:
        return worker.run(there)
    finally:
        worker.close()


def close_all(closers: Iterable[Callable[[], object]]) -> None:
    """Call them all, many at a time: each waits for the kernel's RCU, and they wait together."""

    def quietly(close: Callable[[], object]) -> None:
        with contextlib.suppress(OSError):
            close()

    threads.side_by_side((partial(quietly, closer) for closer in closers), _CLOSERS)
