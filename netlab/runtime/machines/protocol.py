"""What netlab asks of an engine.  ``engine`` has the one that works over a network; tests may have another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Machines(Protocol):
    """Machines that are there for the length of a command."""

    def names(self) -> tuple[str, ...]:
        """The machines whose workers are connected now."""
        ...

    def call(self, machine: str, function: Callable[..., Answer], *values: object) -> Future[Answer]:
        """Call a function on one machine, after what was called there before."""
        ...

    def executor(self) -> Executor:
        """Calls for whichever machine is free.  A call is made again elsewhere where its machine is lost."""
        ...
