"""What the rules across fields share: their types, and the rule that exactly one field of some is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

#: Problems: the path inside the object, and the sentence.
Faults = Iterator[tuple[tuple[str | int, ...], str]]
Body = dict[str, Any]


def exactly_one(body: Body, fields: Iterable[str], noun: str) -> Faults:
    """Exactly one of these fields is given."""
    given = [each for each in fields if each in body]
    if not given:
        yield (), f"{noun} must have one of {', '.join(fields)}"
    for extra in given[1:]:
        yield (extra,), f"{noun} may have only one of {', '.join(given)}"
