"""The wheel and the sdist: what they carry, and that the same source gives the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from netlab.cli.helptext import VERBS
from tests.conftest import ROOT

_TREES = ("netlab", "labs", "scripts", "tests", "docs")
_LEFT = shutil.ignore_patterns("__pycache__", ".*", "foreign")


def _built(folder: Path, source_time: int) -> dict[str, bytes]:
    """A copy of the checkout without xterm.js, whose files are as old as asked for, built."""
    folder.mkdir()
    for name in _TREES:
        shutil.copytree(ROOT / name, folder / name, ignore=_LEFT)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    for path in folder.rglob("*"):
        os.utime(path, (source_time, source_time))
    npm = {"PATH": "/nonexistent"}  # nothing is fetched: the page of this wheel has no terminals
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(folder / "dist")]
    done = subprocess.run(words, cwd=folder, env={**os.environ, **npm}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {file.name: file.read_bytes() for file in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def built(folder: Path) -> dict[str, bytes]:
    return _built(folder / "first", 1_700_000_000)


def test_the_same_source_gives_the_same_bytes(folder: Path, built: dict[str, bytes]) -> None:
    umask = os.umask(0o077)
    try:
        again = _built(folder / "second", 1_800_000_000)
    finally:
        os.umask(umask)
    assert len(built) == 2
    assert sorted(again) == sorted(built)
    assert [name for name in built if built[name] != again[name]] == []


def test_the_wheel_carries_labs_man_pages_and_completion(folder: Path, built: dict[str, bytes]) -> None:
    (wheel,) = (folder / "first/dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shared = {name.partition(".data/data/")[2] for name in names}
    assert {f"share/man/man1/netlab-{verb}.1" for verb in VERBS} | {"share/man/man1/netlab.1"} <= shared
    assert {"share/bash-completion/completions/netlab", "share/zsh/site-functions/_netlab",
            "share/fish/vendor_completions.d/netlab.fish"} <= shared  # fmt: skip
    assert {f"netlab/_labs/{lab.parent.name}/lab.yaml" for lab in ROOT.glob("labs/*/lab.yaml")} <= names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_the_sdist_has_the_sources_alone(folder: Path, built: dict[str, bytes]) -> None:
    (sdist,) = (folder / "first/dist").glob("*.tar.gz")
    names = {name.partition("/")[2] for name in tarfile.open(sdist).getnames()}
    assert {"pyproject.toml", "README.md", "bootstrap.sh", "tasks.py", "scripts/wheel.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", "build/"))]
