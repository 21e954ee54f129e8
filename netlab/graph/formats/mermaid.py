"""A flowchart of Mermaid, which code hosts render in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.graph.boxes import Box, boxes, edges
from netlab.output.graph import Graph


def render(graph: Graph) -> Iterable[str]:
    """The flowchart: a subgraph for each namespace, a box for each device."""
    yield "flowchart TB\n"
    for box in boxes(graph):
        yield from _subgraph(box, "  ")
    for edge in edges(graph):
        line = "-.-" if edge.is_tunnel else "---"
        label = f"|{_quoted(edge.label)}|" if edge.label else ""
        yield f"  {edge.left} {line}{label} {edge.right}\n"


def _subgraph(box: Box, indent: str) -> Iterable[str]:
    yield f"{indent}subgraph {box.key}[{_quoted(box.label)}]\n"
    for inside in box.inside:
        yield from _subgraph(inside, f"{indent}  ")
    for device in box.devices:
        yield f"{indent}  {device.key}[{_quoted(device.label)}]\n"
    yield f"{indent}end\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;") + '"'
