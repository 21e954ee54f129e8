"""What may select a Pod, found by the Pod's labels: ten thousand policies and a thousand Pods are ten million questions
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar


class Namespaced(Protocol):
    """An object in a namespace."""

    @property
    def namespace(self) -> str: ...


T = TypeVar("T", bound=Namespaced)


class ByLabel(Generic[T]):
    """Objects of one kind, by one of the labels that each requires of a Pod.

    ``wanted`` returns all labels that an object requires: empty if it cannot be found by labels, None if it selects no
    Pod.
    """

    def __init__(self, objects: Iterable[T], wanted: Callable[[T], Mapping[str, str] | None]) -> None:
        self._labelled: dict[tuple[str, str, str], list[tuple[int, T]]] = {}
        self._others: dict[str, list[tuple[int, T]]] = {}
        for number, obj in enumerate(objects):
            labels = wanted(obj)
            if labels:
                key, value = next(iter(labels.items()))
                self._labelled.setdefault((obj.namespace, key, value), []).append((number, obj))
            elif labels is not None:
                self._others.setdefault(obj.namespace, []).append((number, obj))

    def of(self, namespace: str, labels: Mapping[str, str]) -> list[T]:
        """The objects of a namespace that may select a Pod with these labels, in their own order."""
        numbered = list(self._others.get(namespace, ()))
        for key, value in labels.items():
            numbered += self._labelled.get((namespace, key, value), ())
        return [item for _, item in sorted(numbered, key=lambda pair: pair[0])]
