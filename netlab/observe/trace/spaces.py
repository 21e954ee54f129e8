"""The namespaces of a trace: something done in each, in one thread; and many slow closes at once."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import TypeVar

from netlab.kernel import netns as ns

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
    todo: SimpleQueue[Callable[[], object]] = SimpleQueue()
    count = 0
    for one in closers:
        todo.put(one)
        count += 1

    def work() -> None:
        while True:
            try:
                one = todo.get_nowait()
            except Empty:
                return
            with contextlib.suppress(OSError):
                one()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(count, _CLOSERS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
