"""The interface of a kernel, and the result of reading it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import field
from typing import Protocol

from netlab.names import Owner
from netlab.objects import Listener, Obj, Op, Process, State
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Observed:
    """The observed state of a lab.

    ``state`` holds what lies in the lab's own namespaces, foreign things included (``plan.drift`` tells them apart).
    ``strangers`` are names in /run/netns that begin like the lab's and are not its, with their owner where it is
    another lab.  ``learned`` are neighbours, forwarding entries, path MTUs and tracked flows; they are no part of a state.
    """

    state: State
    strangers: dict[str, Owner | None] = field(default_factory=dict)
    learned: tuple[Obj, ...] = ()


class AgentPort(Protocol):
    """The agent as the kernel's writer sees it: who opens and closes listeners, runs and ends processes."""

    def listen(self, listeners: Sequence[Listener]) -> None:
        """Open the listeners; StateError where the agent cannot be reached."""

    def unlisten(self, listeners: Sequence[Listener]) -> None:
        """Close them."""

    def run(self, processes: Sequence[Process]) -> None:
        """Start processes, and restart those that run with another spec; does not wait for them."""

    def stop(self, processes: Sequence[Process]) -> None:
        """End them with SIGTERM, after their grace period with SIGKILL; returns when they are gone."""

    def processes(self) -> Sequence[Process]:
        """The processes that the agent runs, or restarts; none without an agent."""

    def forget(self, netns: Iterable[str], etc: Iterable[str] = ()) -> None:
        """Drop all listeners and processes in these namespaces, and of hostNetwork Pods with these folders."""


class Kernel(Protocol):
    """A kernel that holds labs."""

    def observe(
        self, lab: str, like: State | None = None, scope: Collection[str] | None = None, *, rules: bool = False
    ) -> Observed:
        """Observe a lab.

        ``like`` selects the sysctls, files and listeners to read, of which the kernel has no list. ``scope``: only
        these namespaces; the far end of a veth is then an unknown link. ``rules``: only their nftables.
        """

    def apply(self, ops: Iterable[Op]) -> None:
        """Do the operations in order.  Raises KernelRefused at the first that the kernel refuses."""

    def forget(self, paths: Iterable[str]) -> None:
        """Have the kernel forget every path MTU that it learned in the namespaces."""

    def close(self) -> None:
        """Close sockets and descriptors."""
