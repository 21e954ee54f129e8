"""The lines of ``describe``: fields, lists below a field, small tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netlab.cli.kinds.kind import NONE
from netlab.model import Cluster

WIDTH = 18  # columns of a field's name, as kubectl has it for Pods


def field(name: str, value: str, width: int = WIDTH) -> str:
    """``Name:   value``."""
    return f"{name + ':':<{width}}{value}"


def listed(name: str, values: Iterable[str], width: int = WIDTH) -> list[str]:
    """The first value beside the name, the others below it."""
    first, *others = list(values) or [NONE]
    return [field(name, first, width), *(" " * width + value for value in others)]


def label_lines(labels: Mapping[str, object], width: int = WIDTH) -> list[str]:
    """The labels of an object, each on its line."""
    return listed("Labels", (f"{key}={value}" for key, value in labels.items()), width)


def annotation_lines(annotations: Mapping[str, object], width: int = WIDTH) -> list[str]:
    """The annotations of an object, each on its line."""
    return listed("Annotations", (f"{key}: {value}" for key, value in annotations.items()), width)


def link_lines(cluster: Cluster, key: str, width: int = WIDTH) -> list[str]:
    """The impairments of the link of a node or a Pod (``Node/node-1``), each direction on its line; none: no line."""
    own = [each for each in cluster.impairments if each.link.key == key]
    texts = (f"{each.link.sender(each.direction)} sends with {each.values}" for each in own)
    return listed("Impaired Link", texts, width) if own else []


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], indent: int = 2) -> list[str]:
    """A table with a line of dashes below its headings; the last column is ragged."""
    body = [heads, ["-" * len(head) for head in heads], *rows]
    widths = [max(len(row[column]) for row in body) for column in range(len(heads) - 1)]
    return [
        " " * indent + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in body
    ]
