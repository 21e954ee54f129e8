"""Long tables of cases: an ordinary run of the tests has a fixed part of each, ``invoke test --all`` has all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def part(cases: Iterable[Any], by: Callable[..., object], *, turn: int = 0) -> list[Any]:
    """The cases, those marked ``rest`` that an ordinary run leaves out: it has one of each group, not always the first.

    ``by`` gives the group of a case's values.  The first group has its first case, the second its second and so on, so
    that a table of two parameters has each value of both.  ``turn``: begin with another case.
    """
    groups: dict[object, list[int]] = {}
    params = [case if hasattr(case, "marks") else pytest.param(*_values(case)) for case in cases]
    for number, case in enumerate(params):
        groups.setdefault(by(*case.values), []).append(number)
    kept = {members[(at + turn) % len(members)] for at, members in enumerate(groups.values())}
    return [
        case if number in kept else pytest.param(*case.values, marks=[*case.marks, pytest.mark.rest], id=case.id)
        for number, case in enumerate(params)
    ]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
