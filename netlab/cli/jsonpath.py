"""kubectl's jsonpath templates: ``{.status.podIP}``, ``{.items[*].metadata.name}``, ``{range .items[*]}...{end}``.

Limits: no filters but ``[?(@.a=="b")]``, no recursive descent, no slices; an error says which part is not understood.
"""

from __future__ import annotations

import json
import re
from typing import Any

from netlab.errors import BadInput

_STEP = re.compile(
    r"""\.?(?P<name>(?:\\.|[^.\[\]\\ ])+)      # .name, with \. for a dot in a key
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \['(?P<quoted>[^']+)'\]
      | \[\?\(\s*@(?P<path>[^=!\s]+)\s*(?P<op>==|!=)\s*["'](?P<value>[^"']*)["']\s*\)\]""",
    re.X,
)
_PART = re.compile(r"\{([^{}]*)\}")


def render(template: str, data: Any) -> str:
    """The text that a template makes of a JSON value.  Raises BadInput for what it does not understand."""
    template = template.strip()
    if not template.startswith("{"):
        template = "{" + (template if template.startswith((".", "[", "$")) else f".{template}") + "}"
    pieces: list[str] = []
    parts = _PART.split(template)  # text, expression, text, ...
    for text in parts[::2]:
        if "{" in text or "}" in text:
            raise BadInput(f"jsonpath: a bracket has no partner in {text!r}")
    _walk(parts, 0, len(parts), data, pieces)
    return "".join(pieces)


def _walk(parts: list[str], start: int, end: int, data: Any, pieces: list[str]) -> None:
    at = start
    while at < end:
        if at % 2 == 0:
            pieces.append(parts[at])
            at += 1
            continue
        expression = parts[at].strip()
        if expression.startswith("range "):
            close = _end(parts, at, end)
            for each in select(expression[6:].strip(), data):
                _walk(parts, at + 1, close, each, pieces)
            at = close + 1
            continue
        if expression[:1] in "\"'" and expression:
            pieces.append(json.loads('"' + expression[1:-1].replace('"', '\\"') + '"'))
        else:
            pieces.append(" ".join(_text(value) for value in select(expression, data)))
        at += 1


def _end(parts: list[str], start: int, limit: int) -> int:
    depth = 0
    for position in range(start, limit, 2):
        word = parts[position].strip()
        depth += word.startswith("range ")
        depth -= word == "end"
        if depth == 0:
            return position
    raise BadInput("jsonpath: {range} without {end}")


def select(path: str, data: Any) -> list[Any]:
    """The values that a path leads to."""
    path = path.removeprefix("$").removeprefix("@")
    values, at = [data], 0
    while at < len(path):
        if path[at:] == ".":
            break
        step = _STEP.match(path, at)
        if step is None:
            raise BadInput(f"jsonpath: cannot understand {path[at:]!r} in {path!r}")
        at = step.end()
        values = [result for value in values for result in _step(step, value)]
    return values


def _step(step: re.Match[str], value: Any) -> list[Any]:
    name = step["quoted"] or (re.sub(r"\\(.)", r"\1", step["name"]) if step["name"] else None)
    if name == "*" or step["all"]:
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if name is not None:
        return [value[name]] if isinstance(value, dict) and name in value else []
    if step["index"] is not None:
        number = int(step["index"])
        return [value[number]] if isinstance(value, list) and -len(value) <= number < len(value) else []
    wanted = step["op"] == "=="
    items = value if isinstance(value, list) else []
    return [
        each
        for each in items
        if ([_text(result) for result in select(step["path"], each)] == [step["value"]]) == wanted
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)
