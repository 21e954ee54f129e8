"""A lab's documents by kind and by the labels that they select, sorted once for the same documents.

A label on a Pod changes no document. To look at each of ten thousand policies takes a tenth of a second. Half of this
is for the memory that a forked command has to copy where it touches an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from netlab.memo import Latest, Session
from netlab.model.workloads.bylabel import ByLabel
from netlab.model.workloads.templates import WORKLOADS
from netlab.spec import Document


class Catalogue:
    """The objects of one lab; ``added`` come after them (netlab's own, of kinds that few have many of)."""

    def __init__(
        self, objects: tuple[Document, ...], added: Sequence[Document] = (), session: Session | None = None
    ) -> None:
        sort = (session or Session()).of(Latest[tuple[Document, ...], _Sorted], _Sorted)
        self._sorted, self._added = sort(objects), tuple(added)

    def with_added(self, documents: Sequence[Document]) -> Catalogue:
        """This one and some more documents."""
        catalogue = Catalogue.__new__(Catalogue)
        catalogue._sorted, catalogue._added = self._sorted, (*self._added, *documents)
        return catalogue

    def of(self, kind: str) -> tuple[Document, ...]:
        """The documents of a kind, in their order; the same tuple each time where none was added."""
        own = self._sorted.by_kind.get(kind, ())
        more = tuple(document for document in self._added if document.kind == kind)
        return (*own, *more) if more else own

    def has(self, kind: str, namespace: str, name: str) -> bool:
        """Whether there is such an object."""
        return any((document.namespace, document.name) == (namespace, name) for document in self.of(kind))

    @property
    def running(self) -> tuple[Document, ...]:
        """Pods and what makes Pods, in document order."""
        return (*self._sorted.running, *(document for document in self._added if document.kind == "Pod"))

    @property
    def services(self) -> ByLabel[Document]:
        """Services by the labels that they select."""
        return _services_by_label(self.of("Service")) if self._added else self._sorted.services

    @property
    def policies(self) -> ByLabel[Document]:
        """NetworkPolicies by the labels that their podSelector demands."""
        return self._sorted.policies


class _Sorted:
    def __init__(self, objects: tuple[Document, ...]) -> None:
        by_kind: dict[str, list[Document]] = {}
        for obj in objects:
            by_kind.setdefault(obj.kind, []).append(obj)
        self.by_kind = {kind: tuple(documents) for kind, documents in by_kind.items()}
        makers = {"Pod", *WORKLOADS}
        self.running = tuple(obj for obj in objects if obj.kind in makers)

    @cached_property
    def services(self) -> ByLabel[Document]:
        return _services_by_label(self.by_kind.get("Service", ()))

    @cached_property
    def policies(self) -> ByLabel[Document]:
        policies = self.by_kind.get("NetworkPolicy", ())
        return ByLabel(
            policies, lambda policy: policy.body.get("spec", {}).get("podSelector", {}).get("matchLabels", {})
        )


def _services_by_label(services: tuple[Document, ...]) -> ByLabel[Document]:
    """An index of Services by selector; a Service without a selector selects no Pod."""
    return ByLabel(services, lambda service: service.body.get("spec", {}).get("selector") or None)
