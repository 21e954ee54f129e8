"""A user without root is told the truth: the lab runs, and what it takes to act in it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel
SPEC = """apiVersion: netlab/v1
kind: Lab
metadata: {name: mine}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
"""
ACTS = ["get pods", "exec web -- id", "shell web", "reach", "check", "diff", "trace web web:80", "capture -c 1",
        "label pod web a=b", "delete pod web", "down mine"]  # fmt: skip


@pytest.fixture
def plain(kit: Any, world: Any, tmp_path: Path) -> Any:
    """``plain("reach")``: a verb as the user nobody, beside the running lab ``mine``."""
    (tmp_path / "lab.yaml").write_text(SPEC)
    world("netlab up lab.yaml")

    def run(words: str, **more: Any) -> Any:
        script = tmp_path / "as-nobody"
        script.write_text(kit.as_nobody(f"netlab {words}"))
        return world("exec unshare -m sh -e ./as-nobody", **more)

    return run


@pytest.mark.parametrize("words", ACTS)
def test_who_may_not_act_is_told_that_the_lab_runs_and_what_to_type(plain: Any, words: str) -> None:
    done = plain(words, check=3)
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert "needs root" in first, done.stderr
    assert rest[-1].strip() == f"sudo netlab {shlex.join(shlex.split(words))}"
    assert "restart" not in done.stderr and "does not run" not in done.stderr


def test_what_all_may_read_is_shown_right(plain: Any) -> None:
    rows = json.loads(plain("ls -o json").stdout)
    assert [row["lab"] for row in rows] == ["mine"]
    assert "netlab up" not in plain("ls").stderr
    assert plain("labs").returncode == 0
