"""A picture: the lab's topology as SVG."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.output.graph import Graph
from netlab.picture.layout import picture
from netlab.picture.svg import render as as_svg


def render(graph: Graph) -> Iterable[str]:
    """The picture as one SVG file."""
    yield as_svg(picture(graph))
