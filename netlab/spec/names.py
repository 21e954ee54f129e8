"""The objects of manifests by kind and name alone, as ``kubectl delete -f`` reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.errors import Problem
from netlab.spec import kinds, oldversions
from netlab.spec.compose import MappingNode, Node, ScalarNode, SequenceNode, compose, mark_of, pairs
from netlab.spec.kinds import Fate
from netlab.spec.load import Text
from netlab.spec.scalars import is_null


def names(texts: Iterable[Text], namespace: str) -> tuple[list[str], list[Problem]]:
    """``group/kind/namespace/name`` of each object of a kind that a lab has, and what cannot be read even so."""
    identities: list[str] = []
    problems: list[Problem] = []
    for file, text, _ in texts:
        nodes, unread = compose(text, file)
        problems += unread
        for node in (each for parent in nodes for each in _objects(parent)):
            version, kind = _word(node, "apiVersion"), _word(node, "kind")
            meta = _field(node, "metadata")
            name = _word(meta, "name")
            if not (version and kind and name):
                problems.append(Problem(mark_of(node, file), "", "an object has apiVersion, kind and metadata.name"))
                continue
            version = oldversions.current(version, kind)
            if kinds.ruling(version, kind).fate is not Fate.USED or kind == "Lab":
                continue
            group = version.rpartition("/")[0]
            where = "" if kind in kinds.CLUSTER_SCOPED else _word(meta, "namespace") or namespace
            identities.append(f"{group}/{kind}/{where}/{name}")
    return identities, problems


def _objects(node: Node) -> Iterator[Node]:
    items = _field(node, "items")
    if isinstance(items, SequenceNode) and _word(node, "kind").endswith("List"):
        yield from (each for each in items.value if not is_null(each))
    elif isinstance(node, MappingNode):
        yield node


def _field(node: Node | None, name: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for key, value in pairs(node) if isinstance(key, ScalarNode) and key.value == name), None)


def _word(node: Node | None, name: str) -> str:
    value = _field(node, name)
    return value.value if isinstance(value, ScalarNode) else ""
