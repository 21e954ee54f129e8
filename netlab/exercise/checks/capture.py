"""``capture``: packets were seen at a place since the step began.  True once, it stays true: packets do not come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netlab.exercise.facts import Facts, Look
from netlab.exercise.places import netns_of
from netlab.oracle.target import split
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Capture:
    """``at``: PLACE or PLACE:INTERFACE; ``filter``: as in tcpdump, also with names of the lab."""

    KEEPS: ClassVar[bool] = True
    SENDS: ClassVar[bool] = False

    at: str
    filter: str
    count: int = 1

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Capture:
        return cls(**fields)

    def look(self, facts: Facts) -> Look:
        netns_of(facts.cluster, split(self.at)[0])
        count = facts.captured(self.at, self.filter)
        return Look(count >= self.count, f"{count} of {self.count} packets at {self.at}")
