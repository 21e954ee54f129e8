"""Standard streams that are closed or full, and times that are none: a sentence and an exit status, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def sh(line: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m netlab"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(
        ["sh", "-c", line.replace("netlab", command, 1)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "<&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str) -> None:
    done = sh(f"netlab labs {closed}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["labs", "schema"])
def test_full_disk_behind_the_output(words: str) -> None:
    done = sh(f"netlab {words} > /dev/full")
    assert (done.returncode, done.stderr) == (
        3,
        "netlab: what netlab writes: No space left on device\n  df -h /run /etc /tmp\n",
    )


@pytest.mark.parametrize(
    "words",
    [f"{verb} {time}" for verb in ("capture --duration", "trace a b --timeout", "reach --timeout")
     for time in ("nan", "inf", "-1", "1e300", "soon")],
)  # fmt: skip
def test_times_that_never_end(words: str) -> None:
    done = sh(f"netlab {words}")
    assert done.returncode == 2, done
    assert "Invalid value for '--" in done.stderr
    assert "Traceback" not in done.stderr


def test_more_than_a_hundred_problems_are_cut_and_counted(tmp_path: Path) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec: {containers: []}\n---\n"
    (tmp_path / "pods.yaml").write_text("".join(pod % number for number in range(1500)))
    done = sh(f"netlab plan -f {tmp_path}/pods.yaml")
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (2, 102)
    assert lines[-2:] == ["... and 1,400 more", "1500 problems"]
