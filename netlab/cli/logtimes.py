"""When the lines of a log were written, and how kubectl's words say it."""

from __future__ import annotations

import bisect
import calendar
import re
import sys
import time
from collections.abc import Callable, Sequence

from netlab.errors import BadInput

Marks = Sequence[tuple[float, int]]  # (seconds of the epoch, the log's length then), in order
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")


def cutoff(since: str, since_time: str) -> float:
    """The moment that ``--since`` (a Go duration) or ``--since-time`` (RFC 3339) means; 0: neither was given."""
    if since and since_time:
        raise BadInput("at most one of --since and --since-time")
    if since:
        return time.time() - _duration(since)
    if not since_time:
        return 0.0
    match = _STAMP.match(since_time)
    try:
        if not match:
            raise ValueError
        whole = float(calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        raise BadInput(f"--since-time {since_time}: not a time such as 2026-01-31T12:00:00Z") from None
    zone = 0.0
    if match[3] != "Z":
        hours, minutes = map(int, match[3][1:].split(":"))
        zone = (hours * 3600 + minutes * 60) * (-1 if match[3][0] == "-" else 1)
    return whole + float(match[2] or 0) - zone


def _duration(text: str) -> float:
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadInput(f"--since {text}: not a duration such as 5s, 2m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def place(marks: Marks, moment: float) -> int:
    """The log's length at a moment: what comes after it was written later."""
    index = bisect.bisect_right([when for when, _ in marks], moment)
    return marks[index - 1][1] if index else 0


class Stamped:
    """Prints lines with the times when they were there; ``marks`` is asked again for lines that are newer than it."""

    def __init__(self, begin: int, marks: Callable[[], Marks]) -> None:
        self._ask, self._rest, self._end = marks, b"", begin
        self._marks = marks()
        self._until, self._word = -1, b""  # up to which offset lines have this time

    def write(self, data: bytes) -> None:
        """``data`` comes next in the log."""
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if not newline:
            return
        out = []
        for line in whole.split(b"\n"):
            self._end += len(line) + 1
            if self._end > self._until:
                self._turn(self._end)
            out.append(self._word + line)
        sys.stdout.buffer.write(b"\n".join(out) + b"\n")

    def jump(self, begin: int) -> None:
        """Set the offset of the next data."""
        self._rest, self._end = b"", begin

    def last(self) -> None:
        """Return the last line, which has no end yet."""
        if self._rest:
            self._turn(self._end + len(self._rest))
            sys.stdout.buffer.write(self._word + self._rest + b"\n")

    def _turn(self, end: int) -> None:
        if not self._marks or self._marks[-1][1] < end:
            self._marks = self._ask()
        index = bisect.bisect_left([length for _, length in self._marks], end)
        when, self._until = self._marks[index] if index < len(self._marks) else (time.time(), end)
        self._word = _stamp(when).encode() + b" "


def _stamp(when: float) -> str:
    """RFC 3339 with nanoseconds, as the kubelet's logs have it."""
    whole, part = divmod(when, 1)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int(part * 1e9):09d}Z"
