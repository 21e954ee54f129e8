"""What a query says: booleans, and ``labelSelector`` and ``fieldSelector`` of a list or a watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netlab.cli.kinds.kind import Item
from netlab.cli.selectors import selector

_TRUE = ("1", "t", "T", "TRUE", "true", "True")  # as Go's ParseBool


def is_true(text: str | None) -> bool:
    """A boolean of a query."""
    return text in _TRUE


def matcher(query: Mapping[str, str]) -> Callable[[Item], bool]:
    """Whether an object is selected.  Raises BadInput for a selector that cannot be understood."""
    tests: list[Callable[[Item], bool]] = []
    if text := query.get("labelSelector", ""):
        by_labels = selector(text)
        tests.append(lambda item: by_labels(item["metadata"].get("labels") or {}))
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        path, operator, value = part.partition("!=") if "!=" in part else part.replace("==", "=").partition("=")
        equal = operator == "="
        tests.append(lambda item, path=path, value=value, equal=equal: (_at(item, path) == value) == equal)  # type: ignore[misc]
    return lambda item: all(test(item) for test in tests)


def _at(item: Item, path: str) -> str:
    value: object = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)
