"""The frames of many rings in the order of their times.  Pure.

Each ring is nearly sorted, and late by up to the time that its open block takes to be handed over.  So frames wait here
until every ring has been read up to their time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter

from netlab.kernel.capture.packetring import Frame

#: Nanoseconds that may pass between a frame's time stamp and its place in a ring: it waits for its processor's softirq.
SLACK = 10_000_000
_time = itemgetter(0)


class Merge:
    """``add`` frames as they are read, ``take`` those that nothing can come before any more."""

    def __init__(self) -> None:
        self._waiting: list[Frame] = []
        self._newest = 0
        self.since = 0  # frames before it are forgotten: not every ring heard them
        self.late = 0  # frames that came after later ones had been taken

    def __bool__(self) -> bool:
        """Whether frames wait."""
        return bool(self._waiting)

    def add(self, frames: list[Frame]) -> None:
        """Frames of one ring, in the order of their arrival there."""
        self._waiting += frames

    def take(self, until: int) -> list[Frame]:
        """All frames up to a time, sorted; those with one time as they were added."""
        waiting = self._waiting
        if not waiting:
            return []
        waiting.sort(key=_time)
        if waiting[-1][0] <= until:
            taken, self._waiting = waiting, []
        else:
            cut = bisect_right(waiting, until, key=_time)
            taken, self._waiting = waiting[:cut], waiting[cut:]
        if taken and taken[0][0] < self.since:
            del taken[: bisect_left(taken, self.since, key=_time)]
        if taken:
            if taken[0][0] < self._newest:
                self.late += bisect_left(taken, self._newest, key=_time)
            self._newest = max(self._newest, taken[-1][0])
        return taken
