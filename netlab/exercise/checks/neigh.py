"""``neigh``: a neighbour entry, permanent or learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netlab.exercise.checks.base import entry, same
from netlab.exercise.facts import Facts, Look
from netlab.exercise.places import netns_of
from netlab.objects.ip import Neigh
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry by its address; what the kernel could not resolve is none."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = False

    at: str
    address: str
    mac: str = ""
    dev: str = ""
    absent: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Neighbour:
        return cls(**fields)

    def look(self, facts: Facts) -> Look:
        netns = netns_of(facts.cluster, self.at)
        matching = (
            each
            for each in facts.objects()
            if isinstance(each, Neigh) and each.netns == netns and same(self.address, each.address)
            if each.mac and same(self.mac, each.mac) and same(self.dev, each.dev)
        )
        return entry(matching, f"neighbour {self.address}", self.absent)
