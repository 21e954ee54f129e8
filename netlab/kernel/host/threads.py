"""Threads, where a host may have none to give: a control group's pids.max and RLIMIT_NPROC count them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty, SimpleQueue

from netlab.errors import HostCannot

_CLOSERS = 64


def start(work: Callable[[], object], name: str) -> threading.Thread:
    """A started daemon thread.  Raises HostCannot where the host has none to give."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise HostCannot(
            f"this host starts no more threads ({error})",
            hint="the limit is pids.max of the control group (docker run --pids-limit), or ulimit -u",
        ) from None
    return thread


def side_by_side(calls: Iterable[Callable[[], object]], most: int) -> None:
    """Make all the calls, in at most ``most`` threads beside the caller's; fewer where the host gives fewer.

    A call must not raise.
    """
    todo: SimpleQueue[Callable[[], object]] = SimpleQueue()
    for call in calls:
        todo.put(call)

    def work() -> None:
        while True:
            try:
                call = todo.get_nowait()
            except Empty:
                return
            call()

    threads: list[threading.Thread] = []
    wanted = min(most, todo.qsize() - 1)
    with contextlib.suppress(HostCannot):
        while len(threads) < wanted and not todo.empty():
            threads.append(start(work, "netlab-side"))
    work()
    for thread in threads:
        thread.join()


def close_all(closers: Iterable[Callable[[], object]]) -> None:
    """Call them all, many at a time: each waits for the kernel's RCU, and they wait together."""

    def quietly(close: Callable[[], object]) -> None:
        with contextlib.suppress(OSError):
            close()

    side_by_side((partial(quietly, closer) for closer in closers), _CLOSERS)
