"""The interface of a check, and what several kinds share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

from netlab.exercise.facts import Facts, Look
from netlab.objects import Obj


class Check(Protocol):
    """A statement about a running lab."""

    KEEPS: ClassVar[bool]
    SENDS: ClassVar[bool]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Check:
        """From the checked fields of the file.  Raises ValueError, with ``field: message``, for one that is wrong."""

    def look(self, facts: Facts) -> Look:
        """Whether it is true now.  Raises ValueError where it names what the lab does not have."""


def entry(matching: Iterable[Obj], noun: str, absent: bool) -> Look:
    """A check for an entry: it must be there, or must not."""
    seen = list(matching)
    if absent:
        return Look(not seen, f"there is {seen[0].name}" if seen else f"no such {noun}")
    return Look(bool(seen), seen[0].name if seen else f"no such {noun}")


def same(wanted: str, value: object) -> bool:
    """Whether a field is as wanted; an empty wish takes anything.  MACs and addresses are compared in lower case."""
    return not wanted or wanted.lower() == str(value).lower()
