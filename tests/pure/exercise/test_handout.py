"""A lab's page on a terminal and as one file to print: answers apart, nothing loaded, nothing that runs."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import pytest
from click.testing import CliRunner

from netlab.cli.verbs.page import command
from netlab.learn.handout import answer_sheet, handout
from netlab.learn.handouthtml import html

LABS = sorted((Path(__file__).resolve().parents[3] / "labs").glob("*/README.md"))
HOSTILE = """# Lab <b>
![p](../secret.png) ![q](http://127.0.0.1/x.svg) ![drawn](a.svg)

<script>alert(1)</script> [go](javascript:alert(1)) [there](../../docs/x.md) [out](https://kubernetes.io/)

## Ask

1. Why?

   <details><summary>Answer</summary>

   Because **so**.
   </details>

```console
# netlab up <name>
```
"""


@pytest.mark.parametrize("page", LABS, ids=lambda page: str(page.parent.name))
def test_no_answer_of_a_lab_is_left_on_its_page(page: Path) -> None:
    text = page.read_text()
    sheet = handout(text)
    assert len(sheet.answers) == text.count("<details>") > 0
    assert "details>" not in sheet.text + answer_sheet(sheet.answers)
    written = html(sheet, lambda name: (page.parent / name).read_bytes())
    assert "](" not in re.sub(r"<pre>.*?</pre>", "", written, flags=re.S)
    assert f"<title>{escape(sheet.title)}</title>" in written
    assert written.count("data:image/svg+xml;base64,") == len(re.findall(r"^!\[", text, re.M))


def test_a_handout_of_a_strangers_page_runs_nothing_and_asks_nobody() -> None:
    asked = list[str]()
    written = html(handout(HOSTILE), asked.append)  # type: ignore[func-returns-value]
    assert "<script" not in written
    assert "javascript:" not in re.sub(r"\[go\]\([^)]*\)", "", written)
    assert "<img" not in written
    assert re.findall(r'href="([^"]*)"', written) == ["https://kubernetes.io/"]
    assert re.findall(r"[^\w]src=", written) == []
    assert "<title>Lab &lt;b&gt;</title>" in written


def test_answers_are_numbered_where_they_are_asked_for_and_stand_on_a_sheet_of_their_own() -> None:
    sheet = handout(HOSTILE)
    assert "   *Answer: number 1 on the sheet of answers.*" in sheet.text
    assert answer_sheet(sheet.answers) == "## Answers\n\n### 1. Ask\n\nBecause **so**.\n"
    assert 'class="answers"' in html(sheet, lambda _: None)
    assert "Because" not in html(sheet, lambda _: None, answers=False)


def test_the_page_of_a_folder_is_read_and_pictures_of_other_folders_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "README.md").write_text(HOSTILE + "\x1b[2Jwiped")
    (folder / "a.svg").write_text("<svg/>")
    (tmp_path / "secret.png").write_text("secret")
    shown = CliRunner().invoke(command, [str(folder)])
    assert shown.exit_code == 0, shown.output
    assert "Because" not in shown.output
    assert "--answers" in shown.output
    assert "\x1b" not in shown.output
    assert "Because" in CliRunner().invoke(command, [str(folder), "--answers"]).output
    target = tmp_path / "page.html"
    assert CliRunner().invoke(command, [str(folder), "--html", str(target)]).exit_code == 0
    assert target.read_text().count("<img") == 1


def test_a_lab_without_a_page_says_so(tmp_path: Path) -> None:
    refused = CliRunner().invoke(command, [str(tmp_path)])
    assert f"there is no README.md in {tmp_path}" in str(refused.exception)
