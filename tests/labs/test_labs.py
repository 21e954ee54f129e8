"""Each lab folder keeps its promises: it comes up, oracle, packets and expect.yaml agree, and it goes without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LABS = sorted(p.parent for p in (ROOT / "labs").glob("*/lab.yaml"))


def netlab(*words: str, status: int = 0) -> Any:
    """What ``netlab WORDS -o json`` says; the test fails where it ends in another exit status."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "netlab", *words, "-o", "json"],
        check=False,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, f"netlab {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout)


@pytest.mark.kernel
@pytest.mark.parametrize("lab", LABS, ids=lambda p: p.name)
def test_lab_is_as_its_page_says(lab: Path, lab_name: str) -> None:
    if not (ROOT / "netlab" / "cli" / "verbs" / "check.py").is_file():
        pytest.skip("there is no netlab check yet")
    try:
        up = netlab("up", str(lab), "--name", lab_name)
        assert up["changed"] > 0 and up["pods"] > 0
        assert netlab("up", str(lab), "--name", lab_name)["changed"] == 0
        assert netlab("diff", lab_name)["operations"] == []
        held = netlab("check", lab_name)
        assert held["failed"] == 0 and held["passed"] == len(held["flows"]) > 0
        for row in held["flows"]:
            assert row["predicted"] == row["outcome"], "the oracle predicts what packets do"
        asked = {(row["from"], row["to"], row["port"]) for row in held["flows"]}
        seen = {(row["from"], row["to"], row["port"]) for row in netlab("reach", lab_name)["flows"]}
        assert seen <= asked, "expect.yaml has an expectation for each flow that there is"
    finally:
        subprocess.run(
            [sys.executable, "-m", "netlab", "down", lab_name], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
        )
    left = [name for name in os.listdir("/run/netns") if name.startswith(f"{lab_name}-")]
    assert left == [] and not Path("/run/netlab", lab_name).exists()
