"""The number of changes of Pods' containers, for those who wait for the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netlab.runtime.agent.loop import Loop, Timer

GATHER = 0.03  # seconds in which changes gather: a lab's Pods start together
Reply = Callable[[dict[str, Any], list[int]], None]


class Changes:
    """``count``: how many there were."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self.count = loop, 0
        self._waiting: list[Reply] = []
        self._timer: Timer | None = None

    def add(self) -> None:
        """There was a change."""
        self.count += 1
        if self._waiting and self._timer is None:
            self._timer = self._loop.later(GATHER, self._tell)

    def after(self, seen: int, reply: Reply) -> None:
        """Reply with the number as soon as it is another than ``seen``."""
        if seen != self.count:
            reply({"count": self.count}, [])
        else:
            self._waiting.append(reply)

    def _tell(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, []
        for reply in waiting:
            reply({"count": self.count}, [])
