"""The containers' logs: files that the processes write, and their size limit.

A process has its log as standard output and error, opened for appending, without a pipe or a copy.  So a busy agent
delays no process.  Bytes before the last ``KEEP`` are released by punching a hole: offsets stay, so a reader that
follows loses nothing.  (The file's length grows on; ``du`` shows its size.)

While a process runs, the sizes are checked four times a second, and every 20 ms while one grows fast.  Each check of a
grown log adds a mark: the time of its last write, by the file system, and its length.  So the time of a line is known
to a quarter of a second, and an agent that is late does not make the line late.
"""

from __future__ import annotations

import os
from array import array

from netlab.libc import fallocate
from netlab.runtime.agent.loop import Loop

KEEP = 10 << 20  # bytes of a container's log; the kubelet's containerLogMaxSize is 10Mi as well
_SLACK = 1 << 20  # bytes over it before something is done
_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 1, 2
_WATCH, _HURRY, _FAST = 0.25, 0.02, 4 << 20

MARKS = 4096  # for each log; beyond that every second mark of the older half is dropped


class Log:
    """The log of a container's present run."""

    def __init__(self, fd: int) -> None:
        self.fd, self.seen, self.given_back = fd, 0, 0
        self.name = ""
        self.marks = array("d")  # time, length, time, length ...

    def bound(self) -> int:
        """Release old bytes; return the log's growth in bytes."""
        status = os.fstat(self.fd)
        size = status.st_size
        grew, self.seen = size - self.seen, size
        if grew < 0:  # its writer truncated it
            self.given_back = min(self.given_back, size)
            del self.marks[:]
        if grew:
            self._mark(status.st_mtime, size)
        if size - self.given_back > KEEP + _SLACK:
            end = (size - KEEP) & ~4095
            if fallocate(self.fd, _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE, 0, end) == 0:
                self.given_back = end
            else:  # a file system without holes: truncate
                os.ftruncate(self.fd, 0)
                self.seen = self.given_back = 0
        return grew

    def _mark(self, written: float, size: int) -> None:
        if len(self.marks) >= 2 * MARKS:
            older, newer = self.marks[:MARKS], self.marks[MARKS:]
            self.marks = array("d", (value for at in range(0, MARKS, 4) for value in older[at : at + 2])) + newer
        self.marks.extend((written, size))


class Logs:
    """The folder of a lab's logs, reached through the host's root, and the open logs."""

    def __init__(self, loop: Loop, root: int, rundir: str) -> None:
        self.loop, self.root, self.folder = loop, root, f"{rundir.strip('/')}/logs"
        self.open: dict[int, Log] = {}
        self.marks: dict[str, array[float]] = {}
        self.watching = False

    def start(self, name: str, previous: str) -> Log:
        """Open a new log; keep the last run's as ``previous``."""
        try:
            os.mkdir(self.folder, 0o700, dir_fd=self.root)
        except FileExistsError:
            pass
        try:
            os.rename(self._path(name), self._path(previous), src_dir_fd=self.root, dst_dir_fd=self.root)
            self.marks[previous] = self.marks.pop(name, array("d"))
        except FileNotFoundError:
            pass
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        log = Log(os.open(self._path(name), flags, 0o600, dir_fd=self.root))
        self.open[log.fd] = log
        log.name = name
        if not self.watching:
            self.watching = True
            self.loop.later(_WATCH, self._watch)
        return log

    def end(self, log: Log) -> None:
        """Close a log without writers."""
        log.bound()
        self.marks[log.name] = log.marks
        del self.open[log.fd]
        os.close(log.fd)

    def remove(self, *names: str) -> None:
        """Delete logs together with their Pod."""
        for name in names:
            self.marks.pop(name, None)
            try:
                os.unlink(self._path(name), dir_fd=self.root)
            except FileNotFoundError:
                pass

    def times(self, name: str) -> list[list[float]]:
        """The (time, length) marks of a log, in order."""
        log = next((log for log in self.open.values() if log.name == name), None)
        if log is not None:
            log.bound()
        marks = log.marks if log is not None else self.marks.get(name, array("d"))
        return [[marks[at], marks[at + 1]] for at in range(0, len(marks), 2)]

    def _path(self, name: str) -> str:
        return f"{self.folder}/{os.path.basename(name)}"

    def _watch(self) -> None:
        grown = [log.bound() for log in self.open.values()]
        self.watching = bool(self.open)
        if self.watching:
            self.loop.later(_HURRY if max(grown) > _FAST else _WATCH, self._watch)
