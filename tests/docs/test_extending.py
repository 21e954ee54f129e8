"""The recipes of docs/extending.md work: each is applied to a copy of the tree, and its commands are typed there.

A block whose first line is ``# FILE (new file)`` makes the file; ``# FILE, after "TEXT"`` puts the rest of the block after
the one line that begins with TEXT (``before``: before it, with two empty lines; ``instead of``: in its place).
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "extending.md"
EDIT = re.compile(
    r'^```(?:python|yaml|markdown|bash)\n# (?P<file>\S+?)(?: \(new file\)|, (?P<how>after|before|instead of) "(?P<text>[^\n]*)")\n'
    r"(?P<lines>.*?)^```$",
    re.M | re.S,
)


def recipes() -> dict[str, str]:
    """Each section of the page by its title, with the blocks in it."""
    sections = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.M)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


def pages() -> Any:
    """The module that runs pages: test folders are no packages."""
    spec = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("test_pages.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def apply(edit: re.Match[str], tree: Path) -> Path:
    """Make or change the file of a block."""
    path = tree / edit["file"]
    if not edit["how"]:
        assert not path.exists(), f"{edit['file']} is no new file"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit["lines"])
        return path
    lines = path.read_text().splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if line.startswith(edit["text"])]
    assert len(places) == 1, f"{edit['file']} has {len(places)} lines that begin with {edit['text']}"
    first = places[0] + (edit["how"] == "after")
    space = "\n\n" if edit["how"] == "before" else ""
    lines[first : first + (edit["how"] == "instead of")] = [edit["lines"], space]
    path.write_text("".join(lines))
    return path


def test_every_file_block_is_applied() -> None:
    blocks = re.findall(r"^```(?:python|yaml|markdown|bash)$", PAGE.read_text(), re.M)
    assert len(blocks) == len(EDIT.findall(PAGE.read_text()))


@pytest.mark.kernel
@pytest.mark.parametrize("recipe", recipes())
def test_a_recipe_works_as_written(recipe: str, tmp_path: Path) -> None:
    text = recipes()[recipe]
    reader = pages()
    session = reader.Session(tmp_path, forks=False)  # the recipe changes netlab
    try:
        if "type ifb" in text and session.type("ip netns add x && ip -n x link add type ifb; ip netns del x")[1]:
            pytest.skip("this kernel has no ifb devices")
        for name in ("netlab", "scripts", "tests"):
            shutil.copytree(ROOT / name, tmp_path / name)  # with its bytecode: a command starts in half the time
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, tmp_path / name)
        # The recipes' own pytest must not take the labs of tests beside this one for something left behind.
        session.type(f"export PYTHONPATH={tmp_path} NETLAB_TESTS_SHARED=1")
        changed = {apply(edit, tmp_path) for edit in EDIT.finditer(text)}
        modules = [str(path) for path in changed if path.suffix == ".py"]
        for tool in (["check", "-q"], ["format", "-q", "--check"]) if modules else ():
            done = subprocess.run([sys.executable, "-m", "ruff", *tool, *modules], cwd=tmp_path, check=False)
            assert done.returncode == 0, tool
        for step in (step for block in reader.blocks(text) for step in block.steps):
            status, seen = session.type(step.command)
            different = reader.first_difference(step.expected, seen) if step.expected else None
            if status != step.status or different:
                pytest.fail(f"{step.command}\n{different or status}\n\nall that was seen:\n" + "\n".join(seen[-60:]))
    finally:
        left = session.close()
    assert not left
