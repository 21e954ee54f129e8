"""The table of docs/faults.md: which fault was shown on which data plane."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from netlab.faults.catalogue import every, planes_of
from netlab.planes import ROWS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- faults-test: begin -->\n", "<!-- faults-test: end -->\n"
SHOWN, NOT_RUN, NOWHERE = "✓", "·", ""
PLACE = "place"

Marks = dict[tuple[str, str], str]


def known_marks(page: str) -> Marks:
    """What the table on the page says of each fault and data plane."""
    rows = re.findall(r"^\| (.*) \|$", page.partition(BEGIN)[2].partition(END)[0], re.M)
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    if not cells:
        return {}
    head = cells[0]
    return {
        (row[0].strip("`"), column): mark
        for row in cells[1:]
        for column, mark in zip(head, row, strict=True)
        if (column in ROWS and mark) or column == PLACE
    }


def table(marks: Mapping[tuple[str, str], str]) -> str:
    """The table: a row a fault, a column a data plane."""
    lines = [
        f"| fault | level | {PLACE} | {' | '.join(ROWS)} | cause |",
        f"|---|---|---|{'---|' * len(ROWS)}---|",
    ]
    for each in every():
        planes = planes_of(each)
        cells = [marks.get((each.id, plane), NOT_RUN) if plane in planes else NOWHERE for plane in ROWS]
        place = marks.get((each.id, PLACE), "")
        lines.append(f"| `{each.id}` | {each.level} | {place} | {' | '.join(cells)} | {each.cause} |")
    return "".join(f"{line}\n" for line in lines)


def rewritten(page: str, marks: Mapping[tuple[str, str], str]) -> str:
    """The page with the table of these marks."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table(marks) + END + rest.partition(END)[2]
