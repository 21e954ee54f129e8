"""What is wrong with a cluster, case by case: a file in errors/, found by listing, and the text of its problems.

NETLAB_UPDATE_GOLDENS=1 writes the texts anew; read the diff.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from netlab.errors import BadInput
from netlab.model import build
from netlab.plan import check
from netlab.spec import load

FOLDER = Path(__file__).parent / "errors"
CASES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_problems_of_a_cluster_are_told_in_full(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    began = time.process_time()
    with pytest.raises(BadInput) as caught:
        build(load([case.name]), check=check)
    assert time.process_time() - began < 10
    told = f"{caught.value}\n"
    golden = case.with_suffix(".txt")
    if os.environ.get("NETLAB_UPDATE_GOLDENS") == "1":
        golden.write_text(told)
    assert told == golden.read_text()
    for problem in caught.value.problems:
        assert problem.mark is not None, "every problem has a place"
        assert problem.mark.file == case.name


def test_each_text_belongs_to_a_case() -> None:
    assert len(CASES) >= 20
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in CASES}


def test_the_problems_of_several_files_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(BadInput) as caught:
        build(load(["unknown-node.yaml", "statefulset-meets-pod.yaml"]), check=check)
    files = [problem.mark.file for problem in caught.value.problems if problem.mark]
    assert set(files) == {"unknown-node.yaml", "statefulset-meets-pod.yaml"}
