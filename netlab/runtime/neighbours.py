"""Neighbours for the prober, written by the kernel's one writer."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.kernel.linux import LinuxKernel


class KernelPins:
    """Permanent neighbours in and out of the kernel, each (netns, link, address, MAC): what ``observe.neighbours`` asks for.

    Use as a context manager, or call ``close``.
    """

    def __init__(self) -> None:
        self._kernel = LinuxKernel()

    def add(self, entries: Iterable[tuple[str, str, str, str]]) -> None:
        """Put entries in; those that are there already are replaced."""
        self._kernel.neighbours(entries)

    def remove(self, entries: Iterable[tuple[str, str, str, str]]) -> None:
        """Take entries out; those that are gone already are no error."""
        self._kernel.neighbours(entries, remove=True)

    def __enter__(self) -> KernelPins:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the kernel."""
        self._kernel.close()
