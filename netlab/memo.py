"""What pure functions made of frozen objects, found again by the very same object.

A change of a large lab leaves nearly all of its documents, policies and Pods the objects that they were, so what was
made of them is what would be made again.  Identity is asked and not equality: a hash of ten thousand policies takes as
long as making their rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """The results of the last calls of ``function``: each ``all`` keeps what it was asked for and forgets the rest."""

    def __init__(self, function: Callable[[K], V]) -> None:
        self._function = function
        self._results: dict[int, tuple[K, V]] = {}
        self._last: tuple[Sequence[K], tuple[V, ...]] | None = None

    def all(self, objects: tuple[K, ...]) -> tuple[V, ...]:
        """The results in the order of the objects; of the very tuple that was asked for last, the very same."""
        if self._last is None or self._last[0] is not objects:
            self._last = objects, self._all(objects)
        return self._last[1]

    def _all(self, objects: tuple[K, ...]) -> tuple[V, ...]:
        kept = self._results
        # The object is kept beside its result, so its number cannot become another's.
        self._results = {id(obj): kept.get(id(obj)) or (obj, self._function(obj)) for obj in objects}
        return tuple(self._results[id(obj)][1] for obj in objects)


class Latest(Generic[K, V]):
    """The results for the very objects that were asked for last."""

    _KEPT = 3

    def __init__(self, function: Callable[[K], V]) -> None:
        self._function = function
        self._results: list[tuple[K, V]] = []

    def __call__(self, key: K) -> V:
        for kept, result in self._results:
            if kept is key:
                return result
        result = self._function(key)
        self._results.insert(0, (key, result))
        del self._results[self._KEPT :]
        return result


class Session:
    """All that pure functions keep from build to build.  A process that stays has one Session; without one, each call
    begins with nothing.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Any] = {}

    def of(self, make: Callable[..., V], *arguments: Any) -> V:
        """The result of ``make(*arguments)``, made at the first call with these arguments (which have a hash)."""
        key = make, *arguments
        if key not in self._kept:
            self._kept[key] = make(*arguments)
        kept: V = self._kept[key]
        return kept

    def forget(self, make: Callable[..., Any]) -> None:
        """Keep nothing of ``make`` any more: its results have grown larger than what a few labs need."""
        self._kept = {key: kept for key, kept in self._kept.items() if key[0] is not make}
