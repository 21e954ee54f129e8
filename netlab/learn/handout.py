"""A lab's page as a handout: the text without its answers, and the answers for a sheet of their own."""

from __future__ import annotations

import re
import textwrap

from netlab.tuples import NamedTuple

_FOLDED = re.compile(
    r"^([ ]*)<details><summary>([^<\n]*)</summary>[ ]*\n(.*?)^[ ]*</details>[ ]*$|^(## [^\n]*)$", re.M | re.S
)
# A handout travels alone: of a link to a file beside the page its text is left.
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((?!https?://)[^)\s]*\)")


class Answer(NamedTuple):
    """The answer of a folded part; ``section`` is the heading above it."""

    number: int
    section: str
    text: str


class Handout(NamedTuple):
    """``text`` is Markdown that refers to answers by their numbers."""

    title: str
    text: str
    answers: tuple[Answer, ...]


def handout(page: str) -> Handout:
    """A page, split; the folded parts are those that GitHub folds: ``<details>`` on a line of its own."""
    section, answers = "", list[Answer]()

    def folded(match: re.Match[str]) -> str:
        nonlocal section
        indent, title, body, heading = match.groups()
        if heading:
            section = heading.lstrip("# ").strip()
            return match[0]
        answers.append(Answer(len(answers) + 1, section, textwrap.dedent(body).strip()))
        return f"{indent}*{title.strip() or 'Answer'}: number {len(answers)} on the sheet of answers.*"

    text = _FOLDED.sub(folded, _LINK.sub(r"\1", page))
    title = re.search(r"^# (.+)$", page, re.M)
    return Handout(title[1].replace("`", "").strip() if title else "", text, tuple(answers))


def answer_sheet(answers: tuple[Answer, ...]) -> str:
    """The answers as Markdown, each with its number and section."""
    parts = [f"### {each.number}. {each.section}\n\n{each.text}\n" for each in answers]
    return "## Answers\n\n" + "\n".join(parts)
