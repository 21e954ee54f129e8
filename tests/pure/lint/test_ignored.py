"""``--ignore``, the annotation, and the table of codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netlab.errors import BadInput, Mark
from netlab.lint import kept, strict
from netlab.lint.codes import ALL, RULES
from netlab.spec import Warning, load_text

ROOT = Path(__file__).resolve().parents[3]
FOUND = Warning("closed-port", "port 80/TCP is closed", Mark("a.yaml", 3), "Service shop/web")
NOTHING = load_text("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")


@pytest.mark.parametrize(
    ("ignore", "stays"),
    [
        ("closed-port", False),
        ("closed-port:Service shop/web", False),
        ("closed-port:shop/web", False),
        ("closed-port: web", False),
        ("closed-port:shop/db", True),
        ("closed-port:eb", True),
        ("one-sided", True),
    ],
)
def test_a_warning_is_ignored_by_its_code_or_by_code_and_object(ignore: str, stays: bool) -> None:
    assert kept([FOUND], NOTHING, [ignore]) == ([FOUND] if stays else [])


def test_a_code_that_does_not_exist_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"no code 'closed-prot' \(did you mean \"closed-port\""):
        kept([FOUND], NOTHING, ["closed-prot"])


def test_an_annotation_ignores_a_code_of_its_object_alone() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\n  annotations: {netlab/ignore: '%s'}\n"
    text += "spec: {ports: [{port: 80}]}\n"
    assert kept([FOUND], load_text(text % "one-sided, closed-port")) == []
    assert kept([FOUND], load_text(text.replace("name: web", "name: db") % "closed-port")) == [FOUND]
    (_, unknown) = kept([FOUND], load_text(text % "closed-prot", "b.yaml"))
    assert unknown.code == "ignore-unknown" and 'did you mean "closed-port"' in unknown.message
    assert unknown.mark.line == 6


def test_what_is_not_modelled_does_not_count_under_strict() -> None:
    other = FOUND._replace(code="not-modelled-filter")
    assert strict([FOUND, other, FOUND._replace(level="note")]) == [FOUND]


def test_every_code_of_the_source_is_in_the_table() -> None:
    pattern = re.compile(
        r'(?:Warning\(|_warning\(policy, (?:rule, )?|code = |code, \w+ = |append\(\()\s*"([a-z]+(?:-[a-z]+)*)"'
    )
    found = {code for path in (ROOT / "netlab").rglob("*.py") if not {"kernel", "api"} & set(path.parts)
             for code in pattern.findall(path.read_text(encoding="utf-8"))}  # fmt: skip
    assert len(found) > 20
    assert found - set(ALL) == set()


def test_the_page_has_every_code_of_the_rules_at_its_levels() -> None:
    page = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|", page, re.M))
    assert rows == {code: row.levels.replace(" ", ", ") for code, row in RULES.items()}
