"""Static neighbours for the prober, written by ``LinuxKernel``."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.kernel.linux import LinuxKernel


class KernelNeighbours:
    """Adds and removes permanent neighbours, each (netns, link, address, MAC), for ``observe.neighbours``.

    Use as a context manager, or call ``close``.
    """

    def __init__(self) -> None:
        self._kernel = LinuxKernel()

    def add(self, entries: Iterable[tuple[str, str, str, str]]) -> None:
        """Add entries; existing entries are replaced."""
        self._kernel.neighbours(entries)

    def remove(self, entries: Iterable[tuple[str, str, str, str]]) -> None:
        """Remove entries; a missing entry is no error."""
        self._kernel.neighbours(entries, remove=True)

    def __enter__(self) -> KernelNeighbours:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the handles of the kernel."""
        self._kernel.close()
