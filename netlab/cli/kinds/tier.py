"""The policies of the Admin and the Baseline tier, with the columns of their definitions.

``describe`` prints them as kubectl prints any custom resource, and below that what they come to in this lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from netlab.cli.kinds.kind import AGE, NAME, Column, Item, Kind
from netlab.cli.kinds.lines import annotation_lines, field, label_lines
from netlab.cli.kinds.metadata import filled, with_uids, written
from netlab.cli.kinds.policy import effect, packets_by_rule
from netlab.cli.kinds.request import Request

_GROUP = "policy.networking.k8s.io"
_WIDTH = 14
_ABOVE = ("name", "namespace", "labels", "annotations")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")
_ACRONYMS = ("API", "URL", "UID", "OSB", "GUID")


def _kind(name: str, plural: str, short: str, columns: Sequence[Column]) -> Kind:
    @with_uids
    def items(request: Request) -> list[Item]:
        documents = filled(written(request, name, _GROUP), request.running)
        for item in documents:
            del item["metadata"]["namespace"]
        return documents

    def describe(request: Request, items: Sequence[Item]) -> Iterator[Iterable[str]]:
        from netlab.model.selection import Selection

        cluster = request.running.cluster
        policies = {policy.name: policy for policy in cluster.tiers if policy.kind == name}
        selection, packets = Selection(cluster), packets_by_rule(cluster) if items else {}
        for item in items:
            yield [*_described(item), *effect(policies[item["metadata"]["name"]], selection, packets)]

    return Kind(name, plural, (short,), _GROUP, items, tuple(columns), describe, namespaced=False)


def _described(item: Item) -> Iterator[str]:
    metadata = item["metadata"]
    yield field("Name", metadata["name"], _WIDTH)
    yield field("Namespace", "", _WIDTH)
    yield from label_lines(metadata.get("labels", {}), _WIDTH)
    yield from annotation_lines(metadata.get("annotations", {}), _WIDTH)
    yield field("API Version", item["apiVersion"], _WIDTH)
    yield field("Kind", item["kind"], _WIDTH)
    rest = {"metadata": {key: value for key, value in metadata.items() if key not in _ABOVE}, "spec": item["spec"]}
    for has_value, lines in groupby([*_fields(rest, 0), ("Events:", "<none>")], key=lambda line: bool(line[1])):
        block = list(lines)
        width = max(len(head) for head, _ in block) + 2
        yield from (f"{head:<{width}}{value}" if has_value else head for head, value in block)


def _fields(content: Mapping[str, Any], level: int) -> Iterator[tuple[str, str]]:
    """The lines of nested fields: what stands before the colon, and the value, or none above other fields."""
    indent = "  " * level
    for key in sorted(content):
        value, head = content[key], f"{indent}{_label(key)}:"
        if isinstance(value, Mapping):
            yield head, ""
            yield from _fields(value, level + 1)
        elif isinstance(value, list):
            yield head, ""
            for each in value:
                if isinstance(each, Mapping):
                    yield from _fields(each, level + 1)
                else:
                    yield f"{indent}  {each}", ""
        else:
            yield head, str(value)


def _label(key: str) -> str:
    """``Namespace Selector`` for namespaceSelector; what is no word (``kubernetes.io/os``) stays."""
    if re.search(r"[^A-Za-z-]", key):
        return key
    words = (word.upper() if word.upper() in _ACRONYMS else word[:1].upper() + word[1:] for word in _WORD.findall(key))
    return " ".join(words)


_TIER = Column("TIER", lambda item: item["spec"]["tier"])
_PRIORITY = Column("PRIORITY", lambda item: item["spec"]["priority"])
ADMIN = _kind("AdminNetworkPolicy", "adminnetworkpolicies", "anp", (NAME, _PRIORITY, AGE))
BASELINE = _kind("BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies", "banp", (NAME, AGE))
CLUSTER = _kind("ClusterNetworkPolicy", "clusternetworkpolicies", "cnp", (NAME, _TIER, _PRIORITY, AGE))
