"""The maximum size of a lab.  A larger lab is refused before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from netlab.errors import Problem
from netlab.model.workloads.templates import Template
from netlab.spec import Document

# Nodes of a segment are ports of one Linux bridge, which has 1,024.  And nodes know each other: a route, a neighbour and
# a forwarding entry for each two of them are three million objects at 1,000 nodes.  (Kubernetes says 5,000.)
NODES_MAX = 1000
PODS_MAX = 0xFFFF - 1  # their MAC addresses number them in two bytes


def nodes(lab: Document | None, objects: Iterable[Document]) -> Iterator[Problem]:
    """The problem of too many nodes, at the first node above the limit; ``objects`` are the Node documents."""
    listed = lab.body.get("spec", {}).get("nodes", []) if lab else []
    names = {str(entry["name"]) for entry in listed}
    others = [obj for obj in objects if obj.name not in names]
    count = len(listed) + len(others)
    if count > NODES_MAX:
        own = lab if lab and len(listed) > NODES_MAX else None
        mark = own.at("spec", "nodes", NODES_MAX, "name") if own else others[NODES_MAX - len(listed)].mark
        yield Problem(mark, "spec.nodes" if own else "", f"the lab has {count:,} nodes, and {NODES_MAX:,} is the most")


def pods(templates: Iterator[Template]) -> tuple[list[Template], list[Problem]]:
    """The Pods, and whether there are too many: then the rest is not made."""
    kept = list(islice(templates, PODS_MAX))
    more = next(templates, None)
    message = f"the lab has more than {PODS_MAX:,} Pods, which is the most: take fewer replicas"
    return kept, [Problem(more.mark, "", message)] if more else []
