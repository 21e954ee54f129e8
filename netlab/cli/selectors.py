"""``-l``: which objects are meant, by their labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from netlab.errors import BadInput


def written(selector: Mapping[str, Any]) -> str:
    """A label selector of a document as kubectl's tables have it."""
    labels = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        values = f" ({','.join(expression['values'])})" if expression.get("values") else ""
        labels.append(f"{expression['key']} {expression['operator'].lower()}{values}")
    return ",".join(labels) or "<none>"


def selector(text: str) -> Callable[[Mapping[str, str]], bool]:
    """kubectl's -l: ``a=b``, ``a!=b``, ``a in (b,c)``, ``a notin (b,c)``, ``a``, ``!a``, joined by commas."""
    tests: list[Callable[[Mapping[str, str]], bool]] = []
    for part in re.split(r",(?![^(]*\))", text):
        part = part.strip()
        ranged = re.fullmatch(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)", part)
        equal = re.fullmatch(r"([^=!\s]+)\s*(==|=|!=)\s*(\S*)", part)
        if ranged:
            key, same, values = ranged[1], ranged[2] == "in", {value.strip() for value in ranged[3].split(",")}
            tests.append(lambda labels, key=key, values=values, same=same: (labels.get(key) in values) == same)  # type: ignore[misc]
        elif equal:
            key, same, value = equal[1], equal[2] != "!=", equal[3]
            tests.append(lambda labels, key=key, value=value, same=same: (labels.get(key) == value) == same)  # type: ignore[misc]
        elif re.fullmatch(r"!?[^\s=!,()]+", part):
            key, present = part.lstrip("!"), not part.startswith("!")
            tests.append(lambda labels, key=key, present=present: (key in labels) == present)  # type: ignore[misc]
        else:
            raise BadInput(f"-l {text}: cannot understand {part!r}", hint="a=b, a!=b, 'a in (b,c)', a, !a")
    return lambda labels: all(test(labels) for test in tests)
