"""Files that options name: read, written, and called as the user would call them."""

from __future__ import annotations

import os
from pathlib import Path

from netlab.errors import BadInput


def shown(path: Path) -> str:
    """A path as it is shortest from here."""
    near = os.path.relpath(path)
    return str(path) if near.startswith("..") else near


def write(option: str, path: str, text: str) -> None:
    """Write a file that an option names.  Raises BadInput where that cannot be."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{option} {path}: cannot be written: {error.strerror}") from error


def text_of(path: Path) -> str:
    """The text of a file.  Raises BadInput where it has none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadInput(f"{path}: cannot be read: {reason}") from error
