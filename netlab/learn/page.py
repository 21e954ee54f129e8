"""What a session takes from the page of a lab."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = "README.md"
_ANSWER = re.compile(r"^## The interview answer.*?\n(.*?)(?=^## |\Z)", re.M | re.S)


def interview_answer(folder: Path) -> list[str]:
    """The paragraphs of the section of that name; none where the lab has no page."""
    match = _ANSWER.search(_text(folder))
    return [" ".join(part.split()) for part in match[1].split("\n\n") if part.strip()] if match else []


def _text(folder: Path) -> str:
    try:
        return (folder / PAGE).read_text(encoding="utf-8")
    except OSError:
        return ""
