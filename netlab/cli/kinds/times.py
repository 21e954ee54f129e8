"""Times as the API writes them, and durations as kubectl prints them."""

from __future__ import annotations

import time
from functools import lru_cache


def stamp(since: float) -> str:
    """A time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since))


@lru_cache(4096)
def seconds(stamp: str) -> float:
    """The inverse of ``stamp``."""
    import calendar

    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def ago(stamp: str) -> str:
    """The time since a moment, as kubectl prints ages."""
    return duration(time.time() - seconds(stamp))


def spelled(stamp: str) -> str:
    """A time as ``describe`` prints it."""
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def duration(length: float) -> str:
    """kubectl's short duration: 5s, 12m, 3h20m, 2d."""
    seconds = max(0, int(length))
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{hours // 24}d{hours % 24}h" if hours < 192 and hours % 24 else f"{hours // 24}d"
