"""What a namespace of a lab is: a part of each document that names namespaces."""

from __future__ import annotations

from typing import Any, Literal

from netlab.errors import Mark
from netlab.plain import document, optional

PlaceKind = Literal["pod", "node", "external", "router", "underlay"]


@document
class Place:
    """The owner of a namespace; ``name`` of a Pod is ``namespace/name``, and ``node`` its node; ``rack`` of a node."""

    kind: PlaceKind
    name: str
    node: str | None = optional(None)
    rack: str | None = optional(None)


def place(mark: Mark | None) -> dict[str, Any]:
    """The fields ``file`` and ``line`` of a document."""
    return {"file": mark.file if mark else None, "line": mark.line if mark else None}
