"""Finding labs: a path, ./labs, the labs that netlab ships."""

from __future__ import annotations

import os
from pathlib import Path

import netlab
from netlab.errors import BadInput
from netlab.near import near
from netlab.tuples import NamedTuple


class LabFolder(NamedTuple):
    """A lab's folder (or file), and the name that it was found by."""

    name: str
    path: Path


def folders() -> list[Path]:
    """The folders with labs, in the order of search: ./labs, then those of the wheel or the checkout."""
    package = Path(netlab.__file__).resolve().parent
    shipped = package / "_labs"
    return [Path("labs"), shipped if shipped.is_dir() else package.parent / "labs"]


def available() -> list[LabFolder]:
    """All labs there are, by name."""
    by_name: dict[str, LabFolder] = {}
    for folder in folders():
        if folder.is_dir():
            for entry in sorted(folder.iterdir()):
                if (entry / "lab.yaml").is_file():
                    by_name.setdefault(entry.name, LabFolder(entry.name, entry))
    return [by_name[name] for name in sorted(by_name)]


def find(lab: str) -> LabFolder:
    """A lab by path (if it has a '/' or exists) or by name.  Raises BadInput, naming those that there are."""
    if "/" in lab or os.path.exists(lab):
        path = Path(lab)
        if not path.exists():
            raise BadInput(f"{lab}: there is no such file or folder")
        return LabFolder(path.resolve().stem if path.is_file() else path.resolve().name, path)
    labs = {lab.name: lab for lab in available()}
    if lab in labs:
        return labs[lab]
    listing = f"; there are: {', '.join(labs)}" if labs else ""
    raise BadInput(f'there is no lab called "{lab}"{near(lab, labs)}{listing}', hint="netlab labs lists them")


def title(path: Path) -> str:
    """The first heading of a lab's page."""
    try:
        with open(path / "README.md", encoding="utf-8") as stream:
            return next((line.lstrip("# ").strip() for line in stream if line.startswith("# ")), "")
    except OSError:
        return ""
