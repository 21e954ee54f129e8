"""The capture itself: one loop reads all capture points, adds namespaces that appear and drops those that vanish."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from netlab.errors import HostCannot, NeedsRoot, StateError
from netlab.kernel.capture.packetring import RETIRE, SMALL_BLOCK, Frame
from netlab.kernel.host import netns as ns
from netlab.kernel.host import threads
from netlab.kernel.host.inotify import Watch
from netlab.kernel.host.limits import raise_open_files
from netlab.kernel.host.owners import owners
from netlab.observe.capture.bpf import Program
from netlab.observe.capture.merge import SLACK, Merge
from netlab.observe.capture.point import CapturePoint, Space, open_point

In = TypeVar("In")
Out = TypeVar("Out")
MEMORY = 64  # MiB for all rings together
_RING_MIN, _RING_MAX = 2 * SMALL_BLOCK, 32 << 20  # bytes
_PATIENCE = 0.005  # seconds between two looks while frames wait for those that may come before them
_FAREWELL = 0.06  # seconds: what a ring holds when its namespace goes, or at the end, is handed over within RETIRE ms
_CLOCK = 1.0  # seconds: frames that are held back for longer have a time that is not this clock's: it was set back
_BEING_MADE = 2.0  # seconds that a new name may have no namespace behind it
_THREADS = 64  # opening and closing a ring waits for the kernel (RCU, 10 to 30 ms), and they can wait together


class Capture:
    """Listens in all namespaces from the moment that ``open`` returns; ``batches`` has everything since then, in order.

    ``lab``: also to every namespace of this lab that comes later ("" for none).  ``memory``: MiB for all rings.
    ``stop`` may be called from a signal handler.  ``watch``: a descriptor; when its other end has gone, the capture
    stops and ``reader_gone`` says so.
    """

    def __init__(
        self, spaces: Iterable[Space], program: Program, *, lab: str = "", memory: int = MEMORY, watch: int = -1
    ) -> None:
        self._spaces = {space.netns: space for space in spaces}
        self._program, self._lab, self._memory, self._reader = program, lab, memory, watch
        self.points: dict[str, CapturePoint] = {}
        self.gone: list[CapturePoint] = []  # those whose namespace went, for their counts
        self.reader_gone = False
        self.arrived: list[Space] = []  # namespaces that came later, for the caller to take out
        self.merge = Merge()
        self._foreign: set[str] = set()
        self._being_made: dict[str, float] = {}
        self._leaving: dict[str, float] = {}
        self._closing: list[threading.Thread] = []
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._asked, self._stopped = False, 0  # the second is when
        self._watch: Watch | None = None
        self._news = True  # whether names in /run/netns may have come or gone
        self._epoll = select.epoll()

    # -- opening and closing ------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to listen.  Raises HostCannot or StateError where it cannot."""
        raise_open_files()  # a ring and its namespace's news are four descriptors
        self._watch = Watch(ns.RUN_NETNS)
        self._share = (self._memory << 20) // max(1, sum(space.weight for space in self._spaces.values()))
        # Each ring has a timer of the kernel's: of many, none shall fire a hundred times a second.
        self._retire = RETIRE if len(self._spaces) < 64 else 5 * RETIRE
        self._epoll.register(self._watch, select.EPOLLIN)
        self._epoll.register(self._stop, select.EPOLLIN)
        if self._reader >= 0:
            self._epoll.register(self._reader, 0)  # errors and hang-ups are told unasked
        try:
            for point in each(self._opened, self._spaces.values()):
                self._take_in(point)
        except OSError as error:
            self.close()
            raise self._explained(error) from error
        for point in self.points.values():
            point.ring.count_lost()
            point.ring.lost = 0  # while the others were opened, nobody read
        self.merge.since = time.time_ns()
        self._began = time.monotonic()

    def _opened(self, space: Space) -> CapturePoint:
        memory = min(_RING_MAX, max(_RING_MIN, space.weight * self._share))
        return open_point(space, self._program, memory, self._retire)

    def _explained(self, error: OSError) -> HostCannot | StateError:
        if error.errno == errno.EPERM:
            return NeedsRoot("this needs root: capturing opens raw sockets")
        many = f"{len(self._spaces)} namespaces"
        if error.errno == errno.ENOMEM:
            return HostCannot(
                f"this host has not the memory to listen to {many}", hint="name fewer with --at, or give less: --buffer"
            )
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return HostCannot(f"too few open files are allowed for {many}", hint="name fewer with --at, or: ulimit -Hn")
        return StateError(
            f"{error.filename or 'a namespace'}: {error.strerror}", hint="netlab diff shows what is missing"
        )

    def _take_in(self, point: CapturePoint) -> None:
        self.points[point.space.netns] = point
        self._epoll.register(point.ring, select.EPOLLIN)
        self._epoll.register(point.news, select.EPOLLIN)

    def _let_go(self, names: Iterable[str]) -> None:
        leaving = [self.points.pop(name) for name in names]
        for point in leaving:
            point.ring.count_lost()
            self._epoll.unregister(point.ring)
            self._epoll.unregister(point.news)
        self.gone += leaving
        # Closing waits for the kernel, which is busy with the namespaces that go: the others are not kept waiting.
        for point in leaving:
            try:
                self._closing.append(threads.start(point.close, "netlab-capture"))
            except HostCannot:
                point.close()

    def close(self) -> None:
        """Stop listening; afterwards nothing is held.  Idempotent."""
        self._let_go(list(self.points))
        for thread in self._closing:
            thread.join()
        self._epoll.close()
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._stop >= 0:
            os.close(self._stop)
            self._stop = -1

    def stop(self) -> None:
        """End with what has come up to now."""
        self._asked = True
        if self._stop >= 0:
            os.eventfd_write(self._stop, 1)

    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return bool(self._stopped or self._asked)

    # -- the loop -----------------------------------------------------------------------------------------------------

    def batches(self, seconds: float = 0.0) -> Iterator[list[Frame]]:
        """The frames, as lists (empty ones too) that follow each other in time; ends ``seconds`` after ``open`` (0: never), when stopped,
        or when the last namespace has gone.
        """
        end = self._began + seconds if seconds else 0.0
        held = 0.0  # since when frames have been held back and none was let through
        while self.points:
            self._wait(end)
            if end and time.monotonic() >= end and not self._stopped:
                self._stopped = self.merge.since + int(seconds * 1e9)
            if self._being_made or self._news:
                self._look_around()
            horizon = self._read()
            if self._stopped:
                late = time.time_ns() - self._stopped > _FAREWELL * 1e9 + SLACK
                if horizon >= self._stopped or late:
                    yield self.merge.take(self._stopped)
                    return
            batch = self.merge.take(horizon)
            if batch or not self.merge:
                held = 0.0
            elif not held:
                held = time.monotonic()
            elif time.monotonic() - held > _CLOCK:
                batch = self.merge.take(1 << 63)
            if batch or self.arrived:
                yield batch
        rest = self.merge.take(1 << 63)
        if rest:
            yield rest

    def _wait(self, end: float) -> None:
        soon = self.merge or self._being_made or self._leaving or self._stopped
        timeout = _PATIENCE if soon or any(point.ring.filling() for point in self.points.values()) else None
        if end:
            left = max(0.0, end - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        named = {point.news.fileno(): point for point in self.points.values()} if self.points else {}
        for fd, event in self._epoll.poll(timeout):
            if fd == self._stop:
                self._stopped = self._stopped or time.time_ns()
                os.eventfd_read(fd)
            elif self._watch is not None and fd == self._watch.fileno():
                self._watch.clear()
                self._news = True
            elif fd == self._reader and event & (select.EPOLLERR | select.EPOLLHUP):
                self.reader_gone = True
                self._epoll.unregister(fd)
                self._stopped = self._stopped or time.time_ns()
            elif fd in named:
                with contextlib.suppress(OSError):  # its namespace is about to go
                    named[fd].refresh()

    def _read(self) -> int:
        """Read all rings; up to which time nothing is missing any more."""
        horizon = time.time_ns() - SLACK
        for point in self.points.values():
            frames = point.read()
            if frames:
                self.merge.add(frames)
            if point.ring.filling():
                horizon = min(horizon, point.ring.last)
        if self._leaving:
            now = time.monotonic()
            over = [
                name for name, since in self._leaving.items()
                if now - since > _FAREWELL or not self.points[name].ring.filling()
            ]  # fmt: skip
            for name in over:
                del self._leaving[name]
            self._let_go(over)
        return horizon

    # -- what comes and goes ------------------------------------------------------------------------------------------

    def _look_around(self) -> None:
        self._news = False
        there = set(ns.names())
        now = time.monotonic()
        for name, point in self.points.items():
            if name not in self._leaving and (name not in there or not _same(name, point.inode)):
                self._leaving[name] = now
        if not self._lab:
            return
        self._foreign &= there
        prefix = f"{self._lab}-"
        fresh = [netns for netns in there - self.points.keys() - self._foreign if netns.startswith(prefix)]
        self._being_made = {name: self._being_made.get(name, now) for name in fresh}
        for name in fresh:
            owner = owners(name).get(name)
            if owner is None:
                if now - self._being_made[name] > _BEING_MADE:
                    self._foreign.add(name)
                    del self._being_made[name]
                continue
            del self._being_made[name]
            if owner.lab != self._lab:
                self._foreign.add(name)
                continue
            with contextlib.suppress(OSError):  # it has gone again
                space = Space.of(name, owner)
                (point,) = each(self._opened, [space])
                self._take_in(point)
                self.arrived.append(space)

    # -- what was lost ------------------------------------------------------------------------------------------------

    def lost(self) -> dict[str, int]:
        """Frames that found no room, by name; only namespaces that lost some."""
        counts: dict[str, int] = {}
        for point in (*self.gone, *self.points.values()):
            count = point.ring.lost if point in self.gone else point.ring.count_lost()
            if count:
                counts[point.space.name] = counts.get(point.space.name, 0) + count
        return counts


def _same(name: str, inode: int) -> bool:
    try:
        return os.stat(ns.RUN_NETNS / name).st_ino == inode
    except OSError:
        return False


def each(function: Callable[[In], Out], things: Iterable[In]) -> Sequence[Out]:
    """Call a function for each item in separate threads, which may enter any namespace; raises the first error."""
    todo: SimpleQueue[tuple[int, In]] = SimpleQueue()
    for pair in enumerate(things):
        todo.put(pair)
    done: dict[int, Out] = {}
    errors: list[BaseException] = []

    def work() -> None:
        while not errors:
            try:
                number, thing = todo.get_nowait()
            except Empty:
                return
            try:
                done[number] = function(thing)
            except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
                errors.append(error)

    workers: list[threading.Thread] = []
    for _ in range(min(_THREADS, todo.qsize())):
        try:
            workers.append(threads.start(work, "netlab-capture"))
        except HostCannot:
            if not workers:
                raise
            break
    for worker in workers:
        worker.join()
    if errors:
        for result in done.values():
            if isinstance(result, CapturePoint):
                result.close()
        raise errors[0]
    return [done[number] for number in sorted(done)]
