"""The pictures in the repository are those that ``invoke pictures`` makes now, and the pages show them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pure.picture.conftest import LABS, SHIPPED

ROOT = LABS.parent


def test_the_pictures_are_up_to_date() -> None:
    words = [sys.executable, "scripts/make_pictures.py", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"invoke pictures makes these anew:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_page_shows_its_lab(name: str) -> None:
    assert "](topology.svg)" in (LABS / name / "README.md").read_text()


def test_a_page_shows_the_pictures_that_there_are() -> None:
    pages = (ROOT / "docs" / "pictures.md").read_text() + (ROOT / "README.md").read_text()
    pictures = {file.name for file in Path(ROOT / "docs" / "pictures").glob("*.svg")}
    assert pictures
    assert {name for name in pictures if f"pictures/{name})" not in pages} == set()
