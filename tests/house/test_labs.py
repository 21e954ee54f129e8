"""The pages of the labs: the README names their sections, and the pages have them, in one order and one chain."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORDER = re.findall(r"^\| \[[\w-]+\]\(labs/([\w-]+)/README\.md\)", (ROOT / "README.md").read_text(), re.M)
SHELL = "in which netlab is ready, as root or [without root](../../docs/rootless.md):\n\n```console notest it opens a shell\n$ sudo ./bootstrap.sh\n```\n"
HEAD = (r"# .+", r"\*\*You learn\*\* .+", r"\*\*Story\.\*\* .+", r"\*\*Goal\.\*\* .+", r"\*\*Time\.\*\* \d+ minutes.*")
SECTIONS = ("Predict", "Do", "Observe", "Why", "Break it", "Questions", "The interview answer in ", "Clean up")


def page(lab: str) -> str:
    return (ROOT / "labs" / lab / "README.md").read_text()


def prose(lab: str) -> str:
    """The page without its fenced blocks, where `# ` is a prompt."""
    return re.sub(r"^```.*?^```$", "", page(lab), flags=re.M | re.S)


def places(text: str, patterns: tuple[str, ...]) -> list[int]:
    """Where each pattern first begins a line; -1 where none does."""
    return [match.start() if (match := re.search(f"^{p}", text, re.M)) else -1 for p in patterns]


def test_readme_lists_every_lab_that_has_a_page() -> None:
    assert sorted(ORDER) == sorted(p.parent.name for p in (ROOT / "labs").glob("*/README.md"))


@pytest.mark.parametrize("lab", ORDER)
def test_a_page_has_every_section_in_order(lab: str) -> None:
    patterns = (*HEAD, *(f"## {name}" for name in SECTIONS))
    found = places(prose(lab), patterns)
    assert not [p for p, at in zip(patterns, found, strict=True) if at < 0], "missing"
    assert found == sorted(found), "the order differs"


@pytest.mark.parametrize("lab", ORDER)
def test_a_page_says_which_shell_it_needs_before_its_first_command(lab: str) -> None:
    before = re.sub(r"\s+", " ", page(lab).partition("## Predict")[0])
    assert "You need a shell " + re.sub(r"\s+", " ", SHELL) in before
    assert "# netlab shell" in page(lab), "the lines of ip after it work without root there alone"


@pytest.mark.parametrize("lab", ORDER)
def test_each_prediction_and_each_question_has_a_folded_answer(lab: str) -> None:
    predict = prose(lab).partition("## Predict")[2].partition("\n## ")[0]
    asked, _, answers = predict.partition("<details><summary>Answers</summary>")
    numbers = re.compile(r"^\d+\. ", re.M)
    assert numbers.findall(asked)
    assert numbers.findall(asked) == numbers.findall(answers)
    questions = prose(lab).partition("## Questions")[2].partition("\n## ")[0]
    assert len(numbers.findall(questions)) == questions.count("<details>") > 0


def test_the_pages_are_one_chain_in_the_order_of_the_readme() -> None:
    following = {lab: re.findall(r"^Next: \[([\w-]+)\]\(\.\./\1/README\.md\)", page(lab), re.M) for lab in ORDER}
    assert following == {**{lab: [after] for lab, after in pairwise(ORDER)}, ORDER[-1]: []}


def test_a_lab_with_an_exercise_says_so_before_the_next_lab() -> None:
    have = {path.parent.name for path in (ROOT / "labs").glob("*/exercise.yaml")}
    line = re.compile(r"^Exercise: `netlab learn ([\w-]+)` has steps in this lab that check themselves\.$", re.M)
    assert {lab: line.findall(page(lab)) for lab in ORDER} == {lab: [lab] if lab in have else [] for lab in ORDER}
