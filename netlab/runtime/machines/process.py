"""A worker's process for functions.  It is there before the engine, whose threads no fork must copy."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

_LOST = 130  # the exit status of a worker whose process for functions died


class OneProcess(ProcessPoolExecutor):
    """A process with a single thread for functions: they fork, take signals and enter namespaces.

    The worker ends where that process dies, so that the scheduler gives its case to another machine.
    """

    def __init__(self, begin: Callable[..., None], *values: object) -> None:
        super().__init__(1, multiprocessing.get_context("fork"), begin, values)
        self.submit(os.getpid).result()

    def submit(self, function: Callable[..., Any], /, *values: Any, **named: Any) -> Future[Any]:
        future = super().submit(function, *values, **named)
        future.add_done_callback(_unless_it_died)  # before the engine's own, which would report an error
        return future


def _unless_it_died(future: Future[Any]) -> None:
    if not future.cancelled() and isinstance(future.exception(), BrokenProcessPool):
        os._exit(_LOST)
