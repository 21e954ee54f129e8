"""The body of a request: JSON, YAML or Kubernetes' protobuf, of bounded size and depth."""

from __future__ import annotations

import json
from typing import Any

import yaml

from netlab.api import protobuf
from netlab.api.status import bad
from netlab.spec.compose import DEPTH_MAX, compose

SIZE = 3 << 20  # bytes; the API server's own limit


def decoded(raw: bytes) -> Any:
    """The value of a body; None of an empty one.  Raises Refused."""
    if not raw:
        return None
    try:
        value = _value(raw)
        # What JSON has no word for must not come in: NaN, an infinite number, half of a character, a date of YAML.
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (Exception, RecursionError) as error:
        raise bad(f"the body of the request cannot be decoded: {error}") from error
    if size > 2 * SIZE:  # by the aliases of YAML
        raise bad(f"the body of the request is more than {2 * SIZE} bytes as JSON")
    if _deeper(value, DEPTH_MAX):
        raise bad(f"the body of the request is nested more than {DEPTH_MAX} deep")
    return value


def _value(raw: bytes) -> Any:
    if raw.startswith(protobuf.MAGIC):
        return protobuf.decode(raw)
    if raw.lstrip()[:1] in (b"{", b"["):
        return json.loads(raw)
    text = raw.decode()
    _, problems = compose(text, "body")  # it knows aliases without end and counts values before they are made
    if problems:
        raise ValueError(problems[0].message)
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _deeper(value: Any, depth: int) -> bool:
    """Whether lists and mappings are nested deeper than this."""
    level = [value]
    for _ in range(depth + 1):
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return False
        level = [inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)]
    return True
