"""The event loop: one epoll, tickers for timeouts, timers for later calls."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable

Handler = Callable[[int], None]  # gets the epoll event mask


class Timer:
    """A later call; ``cancel`` may come at any time."""

    __slots__ = ("call", "due", "number")

    def __init__(self, due: float, number: int, call: Callable[[], None]) -> None:
        self.due, self.number, self.call = due, number, call

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.number) < (other.due, other.number)

    def cancel(self) -> None:
        self.call = _nothing


def _nothing() -> None:
    """The call of a cancelled timer."""


class Loop:
    """Level-triggered, with one handler for each descriptor.  ``tickers`` run at least every ``TICK`` seconds."""

    TICK = 0.05  # while something waits: a quarter of the shortest time-out
    IDLE = 5.0

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.handlers: dict[int, Handler] = {}
        self.tickers: list[Callable[[float], bool]] = []
        self.running = True
        self.timers: list[Timer] = []
        self._numbers = itertools.count()

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call ``call`` once, in ``seconds``."""
        timer = Timer(time.monotonic() + seconds, next(self._numbers), call)
        heapq.heappush(self.timers, timer)
        return timer

    def add(self, fd: int, handler: Handler, events: int = select.EPOLLIN) -> None:
        self.handlers[fd] = handler
        self.epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        self.epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Must precede the close: a reused descriptor number would get the old handler."""
        if self.handlers.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def run(self) -> None:
        """Run until ``running`` is false.  A ticker returns whether it has work, so that an idle agent sleeps."""
        poll, handlers, waiting, due = self.epoll.poll, self.handlers, False, 0.0
        while self.running:
            patience = self.TICK if waiting else self.IDLE
            if self.timers:
                patience = min(patience, max(0.0, self.timers[0].due - time.monotonic()))
            try:
                events = poll(patience, 512)
            except InterruptedError:
                continue
            for fd, mask in events:
                handler = handlers.get(fd)
                if handler is not None:  # gone meanwhile, by another handler of this round
                    handler(mask)
            now = time.monotonic()
            while self.timers and self.timers[0].due <= now:
                heapq.heappop(self.timers).call()
            if now >= due:
                due = now + self.TICK
                waits = [ticker(now) for ticker in self.tickers]  # all of them, not only up to the first that waits
                waiting = any(waits)
            else:
                waiting = True
