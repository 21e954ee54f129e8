"""Ticks are inserted above the line that a shell edits: on a screen of 80x24, also at its bottom."""

from __future__ import annotations

import re

import pytest

from netlab.cli.terminal import above

_TOKENS = re.compile(r"\x1b(?:\[(\d*)([A-Z])|([D78]))|(\r)|([^\x1b\r]+)")


class Screen:
    """A screen that knows the sequences of a VT102 that are used."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""] * rows
        self.gone: list[str] = []
        self.row = self.column = 0
        self.saved = (0, 0)

    def index(self) -> None:
        if self.row < self.rows - 1:
            self.row += 1
        else:
            self.gone.append(self.lines.pop(0))
            self.lines.append("")

    def write(self, text: str) -> None:
        for number, letter, single, carriage, words in _TOKENS.findall(text):
            count = int(number or 1)
            if single == "D":
                self.index()
            elif single == "7":
                self.saved = self.row, self.column
            elif single == "8":
                self.row, self.column = self.saved
            elif letter == "A":
                self.row = max(0, self.row - count)
            elif letter == "B":
                self.row = min(self.rows - 1, self.row + count)
            elif letter == "L":
                self.lines[self.row : self.row] = [""] * count
                del self.lines[self.rows :]
            elif carriage:
                self.column = 0
            else:
                assert words and not letter, (letter, words)
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + words + line[self.column + len(words) :]
                self.column += len(words)


@pytest.mark.parametrize("before", [0, 5, 22, 23, 40])
@pytest.mark.parametrize("count", [1, 3, 19, 20, 21, 60])
def test_lines_stand_above_the_edited_line_which_keeps_its_text_and_cursor(before: int, count: int) -> None:
    screen = Screen(80, 24)
    for number in range(before):
        screen.write(f"old {number}\r")
        screen.index()
    screen.write("(lab) $ ip rou")
    for piece in above([f"tick {number}" for number in range(count)], 80, 24):
        screen.write(piece)
    screen.write("te")
    seen = [line for line in [*screen.gone, *screen.lines] if line]
    assert seen == [*(f"old {n}" for n in range(before)), *(f"tick {n}" for n in range(count)), "(lab) $ ip route"]
    assert screen.lines[screen.row] == "(lab) $ ip route"


def test_a_line_never_wraps() -> None:
    screen = Screen(20, 24)
    screen.write("$ ")
    for piece in above(["x" * 50], 20, 24):
        screen.write(piece)
    assert screen.lines[:2] == ["x" * 19, "$ "]
