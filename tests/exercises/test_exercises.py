"""Each exercise: its checks fail in a fresh lab, its solution is replayed, and then all of them are true; twice.

In an ordinary run only the first exercise is replayed; ``invoke exercises-test`` replays all of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.exercise.load import FILE
from tests.exercises.replay import HERE, LABS
from tests.kernel_features import needed_by_lab

NAMES = sorted(path.parent.name for path in LABS.glob(f"*/{FILE}"))
ORDINARY = "same-node"


def seeds(name: str) -> list[int]:
    """Two seeds or more, by which every value of every variable is drawn."""
    picks = yaml.safe_load((LABS / name / FILE).read_text())["spec"].get("variables", {})
    left = {(variable, str(value)) for variable, each in picks.items() for value in each["pick"]}
    wanted = []
    for seed in range(1, 100):
        drawn = {(key, random.Random(f"{seed}/{key}").choice(each["pick"])) for key, each in picks.items()}
        found = {(key, str(value)) for key, value in drawn} & left
        if found or seed <= 2:
            wanted.append(seed)
            left -= found
    assert not left
    return wanted


def case(name: str, seed: int) -> Any:
    marks = [pytest.mark.needs(*needed_by_lab(LABS / name)), *([] if name == ORDINARY else [pytest.mark.long])]
    return pytest.param(name, seed, marks=marks)


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "seed"), [case(name, seed) for name in NAMES for seed in seeds(name)])
def test_an_exercise_fails_in_a_fresh_lab_and_its_solution_solves_it(
    name: str, seed: int, lab_name: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "replay.py"), name, str(seed), lab_name, *(["grade"] if seed == 1 else [])],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "XDG_STATE_HOME": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["over"], json.dumps(report["steps"][-1], indent=1)
    assert len(report["steps"]) == report["wanted"]
    assert report["wrong"] == ([] if seed == 1 else None)


def test_each_exercise_has_a_solution_and_each_solution_an_exercise() -> None:
    assert sorted(path.stem for path in Path(HERE).glob("*.sh")) == NAMES
