"""A graph for Graphviz."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.graph.boxes import Box, boxes, edges
from netlab.output.graph import Graph


def render(graph: Graph) -> Iterable[str]:
    """The graph: a cluster for each namespace, a node for each device."""
    yield f"graph {_quoted(graph.lab)} {{\n  node [shape=box, fontname=monospace];\n"
    for box in boxes(graph):
        yield from _cluster(box, "  ")
    for edge in edges(graph):
        style = ["style=dashed"] * edge.is_tunnel + [f"label={_quoted(edge.label)}"] * bool(edge.label)
        yield f"  {edge.left} -- {edge.right}" + (f" [{', '.join(style)}]" if style else "") + ";\n"
    yield "}\n"


def _cluster(box: Box, indent: str) -> Iterable[str]:
    yield f"{indent}subgraph cluster_{box.key} {{\n{indent}  label={_quoted(box.label)};\n"
    for inside in box.inside:
        yield from _cluster(inside, f"{indent}  ")
    for device in box.devices:
        yield f"{indent}  {device.key} [label={_quoted(device.label)}];\n"
    yield f"{indent}}}\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
