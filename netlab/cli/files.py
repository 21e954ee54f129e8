"""Files that options name: read, written, and called as the user would call them."""

from __future__ import annotations

import os
from pathlib import Path

from netlab.errors import BadInput


def shown(path: Path) -> str:
    """A path as it is shortest from here."""
    near = os.path.relpath(path)
    return str(path) if near.startswith("..") else near


def require_writable(option: str, path: str) -> None:
    """Raise BadInput where a file that an option names cannot be written: before the work, and not after it."""
    folder = os.path.dirname(path) or "."
    if path == "-":
        raise BadInput(f"{option} -: write a file's name; /dev/stdout is standard output")
    if path and not os.path.isdir(folder) and os.path.exists(folder):
        raise BadInput(f"{option} {path}: cannot be written: {folder} is no folder")
    if path and not os.path.isdir(folder):
        raise BadInput(f"{option} {path}: cannot be written: there is no folder {folder}")
    if path and os.path.isdir(path):
        raise BadInput(f"{option} {path}: cannot be written: it is a folder")
    if path and not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise BadInput(f"{option} {path}: cannot be written: Permission denied")


def write(option: str, path: str, text: str) -> None:
    """Write a file that an option names.  Raises BadInput where that cannot be."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{option} {path}: cannot be written: {error.strerror}") from error


def text_of(path: Path) -> str:
    """The text of a file.  Raises BadInput where it has none."""
    if str(path) == "-":
        raise BadInput("-: write a file's name; /dev/stdin is standard input")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadInput(f"{path}: cannot be read: {reason}") from error
