"""Prose that a reader takes in at once: the pages have sentences of about 25 words at most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORDS = 30  # about 25; a code span, a number, an address, and a list of code spans are a word each
PAGES = sorted(
    [
        *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
        *(*ROOT.glob("docs/*.md"), *ROOT.glob("docs/reference/*.md"), *ROOT.glob("labs/*/README.md")),
    ]
)
_CODE = re.compile(r"(`+)[^`].*?\1", re.S)
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_BLOCK = re.compile(r"^\s*(?:[-*] |\d+\. |> )")  # an item begins a sentence
_LIST = re.compile(r"`code`(?:(?:, | and |, and | or )`code`)+")  # an enumeration of names: a word
_END = re.compile(r"(?<=[.!?])[)\"*_]*\s+")


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs, items and cells of a page, with the number of their first line; no code."""
    text = re.sub(r"<!--.*?-->", lambda hit: "\n" * hit.group().count("\n"), text, flags=re.S)
    fenced, begun, block = False, 0, [""]
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            line = ""
        elif fenced:
            continue
        item = _BLOCK.match(line)
        indented = line.startswith("    ") and not item and not block[-1]
        if not line.strip() or indented or item or line.startswith(("|", "#")):
            if any(block):
                yield begun, "\n".join(block)
            block, begun = [""], number
        if line.startswith("|"):
            for cell in re.split(r"(?<!\\)\|", line):
                yield number, cell
        elif line.strip() and not indented and not line.startswith("#"):
            block.append(_BLOCK.sub("", line))


def sentences(text: str) -> Iterator[tuple[int, str]]:
    for number, block in blocks(text):
        plain = " ".join(_LINK.sub(r"\1", _CODE.sub("`code`", block)).split())
        for sentence in _END.split(_LIST.sub("`code`", plain)):
            yield number, sentence


def long(text: str) -> list[tuple[int, int, str]]:
    """Each sentence that is too long: its line, its number of words, itself."""
    found = []
    for number, sentence in sentences(text):
        words = len([word for word in sentence.split() if re.search(r"\w", word)])
        if words > WORDS:
            found.append((number, words, sentence))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_of_a_page_is_long(page: Path) -> None:
    found = long(page.read_text())
    assert not found, "\n".join(f"{page.name}:{number}: {words} words: {text}" for number, words, text in found)
