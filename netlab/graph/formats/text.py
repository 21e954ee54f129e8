"""The picture as lines of text."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.output.graph import Graph
from netlab.picture.layout import picture


def render(graph: Graph) -> Iterable[str]:
    """A line for each node, device, Pod, host outside, Service and policy."""
    yield from (f"{line}\n" for line in picture(graph).twin)
