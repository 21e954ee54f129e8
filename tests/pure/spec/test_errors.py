"""Every case is a file in errors/, found by listing, with the text of its problems beside it.

NETLAB_UPDATE_GOLDENS=1 writes the texts anew; read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.planes import ROWS
from netlab.spec import load

FOLDER = Path(__file__).parent / "errors"
CASES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_problems_of_a_file_are_told_in_full(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    found = load([case.name])
    *planes, last = ROWS  # a new data plane changes no text here
    told = "".join(f"{problem}\n" for problem in found.problems).replace(f"{', '.join(planes)} or {last}", "<planes>")
    golden = case.with_suffix(".txt")
    if os.environ.get("NETLAB_UPDATE_GOLDENS") == "1":
        golden.write_text(told)
    assert told == golden.read_text()
    assert found.problems, "a case without a problem is none"


def test_there_are_cases_and_each_text_belongs_to_one() -> None:
    assert len(CASES) >= 45
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in CASES}
