"""The tools that read the code, as tests: what they say is the failure's text."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def says(*argv: str) -> str:
    """What a tool complains about; empty where it is content."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit status {done.returncode}"


def module(name: str, *argv: str) -> str:
    return says(sys.executable, "-m", name, *argv)


def test_ruff_check() -> None:
    complaint = module("ruff", "check", "--no-cache", "--output-format=concise", ".")
    assert not complaint, complaint


def test_ruff_format() -> None:
    complaint = module("ruff", "format", "--no-cache", "--check", ".")
    assert not complaint, f"{complaint}\n(`invoke lint --fix` formats)"


def test_mypy_strict() -> None:
    complaint = module("mypy", "--no-error-summary")
    assert not complaint, complaint


def test_imports_point_down_the_floors() -> None:
    complaint = says(sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache")
    assert not complaint, complaint


@pytest.mark.parametrize(
    "script", ["bootstrap.sh", "scripts/bundle.sh", ".ci/run", "tests/distros/box.sh", "tests/distros/inside.sh"]
)
def test_shellcheck(script: str) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed (./bootstrap.sh invoke test installs it)")
    complaint = says("shellcheck", script)
    assert not complaint, complaint
