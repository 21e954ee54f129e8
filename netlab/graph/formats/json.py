"""The document itself."""

from __future__ import annotations

import json
from collections.abc import Iterable

from netlab.output.graph import Graph
from netlab.plain import dump


def render(graph: Graph) -> Iterable[str]:
    """The document as JSON."""
    yield from json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(dump(graph))
    yield "\n"
