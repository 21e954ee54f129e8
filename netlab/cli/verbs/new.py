"""``netlab new``: copy a lab, to change it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import click

from netlab.cli import out
from netlab.errors import BadInput
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.runtime.state.labs import find
from netlab.runtime.state.sudo import behind_sudo


@click.command()
@click.argument("name")
@click.option("--from", "origin", default="overlay", show_default=True, help="the lab to copy")
def command(name: str, origin: str) -> None:
    """Copy a lab to ./labs/NAME, to change it."""
    if not is_dns_label(name, LAB_NAME_MAX):
        raise BadInput(f"{name!r} cannot be a lab's name: a DNS label of at most {LAB_NAME_MAX} characters")
    source = find(origin).path
    target = Path("labs") / name
    if target.exists():
        raise BadInput(f"{target} exists")
    if source.is_file():
        target.mkdir(parents=True)
        shutil.copy(source, target / "lab.yaml")
    else:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("exercise.y*ml"))  # that of another lab
    spec = target / "lab.yaml"
    text = spec.read_text(encoding="utf-8")
    pattern = re.compile(r"(kind:\s*Lab\s*\nmetadata:\s*(?:\n\s+|\{\s*)name:\s*)[^\s,}]+")
    spec.write_text(pattern.sub(rf"\g<1>{name}", text, count=1), encoding="utf-8")
    _give_back(target)
    out.line(f"{spec} is yours; {out.command()} up {name}")


def _give_back(folder: Path) -> None:
    """Behind sudo what was made belongs to the user, not to root."""
    owner = behind_sudo()
    if owner is not None:
        for path in (folder.parent, folder, *folder.rglob("*")):
            if path.owner() == "root":
                os.chown(path, *owner)
