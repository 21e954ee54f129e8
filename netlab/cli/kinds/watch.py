"""``--watch``: look again and again, and say what changed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from netlab.cli import out
from netlab.errors import BadInput, Exit

T = TypeVar("T")
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
INTERVAL = 0.3  # seconds between two looks: sooner than a person could tell, and cheap
_INTERRUPTED = 130  # 128 + SIGINT, what a shell sees of kubectl


class Table:
    """Rows that come one after the other: columns keep the widths that they once had."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def rows(self, rows: Sequence[Sequence[str]], heads: Sequence[str]) -> None:
        """Print rows, the headings before the first ones."""
        lines = [list(heads), *map(list, rows)] if heads and not self._widths else [list(row) for row in rows]
        for line in lines:
            fresh = [len(cell) for cell in line]
            self._widths = [max(pair) for pair in zip(self._widths, fresh, strict=True)] if self._widths else fresh
        for line in lines:
            cells = [cell.ljust(width) for cell, width in zip(line[:-1], self._widths, strict=False)]
            out.line("   ".join([*cells, line[-1]]).rstrip())
        sys.stdout.flush()


def item(data: Any, output: str, name: str) -> None:
    """One object of a stream: a JSON document, a YAML document, a name."""
    if output == "json":
        out.document(data)
    elif output == "yaml":
        import yaml

        out.line("---\n" + yaml.safe_dump(data, sort_keys=False).rstrip())
    else:
        out.line(name)
    sys.stdout.flush()


def run(
    poll: Callable[[], Mapping[str, T]],
    say: Callable[[Sequence[tuple[str, T]]], None],
    same: Callable[[T, T], bool] = lambda one, other: one == other,
) -> int:
    """Say all that ``poll`` finds, then each time what is new, other or gone, as (event, value); ends with Ctrl-C.

    When the lab goes down meanwhile, everything is said to be gone, and the exit status is 0.
    """
    try:
        known = poll()
        if known:
            say([(ADDED, value) for value in known.values()])
        while True:
            time.sleep(INTERVAL)
            try:
                found = poll()
            except BadInput:  # the lab was taken down
                say([(DELETED, value) for value in known.values()])
                return Exit.OK
            changes: list[tuple[str, T]] = []
            for key, value in found.items():
                if key not in known:
                    changes.append((ADDED, value))
                elif not same(known[key], value):
                    changes.append((MODIFIED, value))
            changes += [(DELETED, value) for key, value in known.items() if key not in found]
            known = found
            if changes:
                say(changes)
    except KeyboardInterrupt:
        return _INTERRUPTED
