"""What pure functions made of frozen objects, found again by the very same object.

A change of a large lab leaves nearly all of its documents, policies and Pods the objects that they were, so what was
made of them is what would be made again.  Identity is asked and not equality: a hash of ten thousand policies takes as
long as making their rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """The results of the last calls of ``function``: each ``all`` keeps what it was asked for and forgets the rest."""

    def __init__(self, function: Callable[[K], V]) -> None:
        self._function = function
        self._known: dict[int, tuple[K, V]] = {}

    def all(self, objects: Sequence[K]) -> tuple[V, ...]:
        """The results in the order of the objects."""
        known = self._known
        # The object is kept beside its result, so its number cannot become another's.
        self._known = {id(one): known.get(id(one)) or (one, self._function(one)) for one in objects}
        return tuple(self._known[id(one)][1] for one in objects)
