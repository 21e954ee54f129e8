"""Changes of a running lab beside its documents: labels set by hand, removed nodes.

A label on one Pod of a Deployment belongs to that Pod: no document has it, so it cannot be kept as a changed document.
It is kept by name, and put on what the documents say each time they are resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from netlab.values import dataclass

if TYPE_CHECKING:
    from netlab.model.cluster import Cluster
    from netlab.model.workloads.templates import Template
    from netlab.spec import Document

Labels = Mapping[str, str | None]  # None: the label is removed


def label_key(kind: str, name: str) -> str:
    """``Pod/namespace/name``, ``Node/name``, ``Namespace/name``: whose labels are meant."""
    return f"{kind}/{name}"


@dataclass(frozen=True, slots=True)
class Changes:
    """``labels`` by ``label_key``.  ``removed_nodes`` are nodes of the Lab document that are no more.

    ``finished`` are Pods of Jobs that had ended and were deleted, ``absent`` those that are not there for a moment, while
    others of their names are to be made; each by ``namespace/name``.  ``links`` are impairments by ``impairments.key``, as
    texts; an empty one clears what the Lab document has.
    """

    labels: Mapping[str, Labels] = field(default_factory=dict)
    removed_nodes: frozenset[str] = frozenset()
    finished: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def removed(self, template: Template) -> bool:
        """Whether a Pod that documents ask for is not to be made."""
        if template.full in self.absent:
            return True
        return template.full in self.finished and bool(template.path) and template.controller.startswith("Job/")

    def labelled(self, kind: str, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels of an object, with those put on and taken off by hand."""
        changed = self.labels.get(label_key(kind, name), {})
        kept = {key: value for key, value in labels.items() if key not in changed}
        return kept | {key: value for key, value in changed.items() if value is not None}


def put(
    present: Mapping[str, Labels], documents: Iterable[Document], label: Mapping[str, Labels]
) -> dict[str, dict[str, str | None]]:
    """Labels that were set by hand and are set now.

    A document that is applied has the last word on the labels that it names; of those that it does not name it knows
    nothing, as with kubectl.
    """
    labels = {key: dict(value) for key, value in present.items()}
    for document in documents:
        name = f"{document.namespace}/{document.name}" if document.namespace else document.name
        for label_name in document.body["metadata"].get("labels", {}):
            labels.get(label_key(document.kind, name), {}).pop(label_name, None)
    for key, value in label.items():
        labels.setdefault(key, {}).update(value)
    return {key: value for key, value in labels.items() if value}


def still_there(labels: Mapping[str, Labels], cluster: Cluster) -> dict[str, Labels]:
    """Labels of objects that are gone go with them: another Pod of that name must not inherit them."""
    there = {label_key("Pod", str(pod)) for pod in cluster.pods}
    there |= {label_key("Node", node.name) for node in cluster.nodes}
    there |= {label_key("Namespace", name) for name in cluster.namespaces}
    return {key: value for key, value in labels.items() if key in there}
