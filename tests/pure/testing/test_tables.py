"""The fixed part of a long table."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.tables import part


def _kept(params: list[Any]) -> list[tuple[Any, ...]]:
    return [each.values for each in params if not any(mark.name == "rest" for mark in each.marks)]


def test_an_ordinary_run_has_each_value_of_both_parameters() -> None:
    cases = list(itertools.product("abcd", (4, 6)))
    params = part(cases, lambda letter, _: letter)
    assert [each.values for each in params] == cases
    assert _kept(params) == [("a", 4), ("b", 6), ("c", 4), ("d", 6)]
    assert _kept(part(cases, lambda letter, _: letter, turn=1)) == [("a", 6), ("b", 4), ("c", 6), ("d", 4)]


def test_marks_and_names_of_cases_stay() -> None:
    (kept, left) = part([pytest.param(1, marks=pytest.mark.kernel, id="x"), pytest.param(2, id="y")], lambda _: 0)
    assert [mark.name for mark in kept.marks] == ["kernel"] and kept.id == "x"
    assert [mark.name for mark in left.marks] == ["rest"] and left.id == "y"
