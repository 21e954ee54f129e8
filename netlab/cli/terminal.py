"""Lines written above the line that a shell is editing, which stays as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

_SPARE = 4  # rows that keep what was there


def above(lines: Sequence[str], columns: int, rows: int) -> Iterator[str]:
    """The control sequences that insert lines above the cursor's row; the cursor keeps its place in the text of its row.

    They are those of a VT102: index (which scrolls at the bottom and keeps the column), insert lines, save and restore.
    A shell that edits a line does not notice.  What is more than a screen has is inserted in pieces.
    """
    most = max(1, rows - _SPARE)
    for start in range(0, len(lines), most):
        piece = [line[: max(1, columns - 1)] for line in lines[start : start + most]]
        count = len(piece)
        text = "\x1b[1B".join(f"\r{line}" for line in piece)
        yield "\x1bD" * count + f"\x1b[{count}A\x1b7\r\x1b[{count}L{text}\x1b8\x1b[{count}B"


def write_above(terminal: int, lines: Sequence[str]) -> None:
    """Write lines above the line that is edited on a terminal."""
    if os.environ.get("TERM", "dumb") == "dumb":
        pieces: Iterator[str] = iter(["".join(f"\n{line}" for line in lines) + "\n"])
    else:
        size = os.get_terminal_size(terminal)
        pieces = above(lines, size.columns or 80, size.lines or 24)
    for piece in pieces:
        data = piece.encode()
        while data:
            data = data[os.write(terminal, data) :]
