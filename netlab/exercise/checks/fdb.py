"""``fdb``: a forwarding entry of a VXLAN device or a bridge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netlab.exercise.checks.base import entry, same
from netlab.exercise.facts import Facts, Look
from netlab.exercise.places import netns_of
from netlab.objects.ip import Fdb
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """An entry by any of its fields."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = False

    at: str
    mac: str = ""
    dst: str = ""
    dev: str = ""
    absent: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> FdbEntry:
        if not {"mac", "dst", "dev"} & fields.keys():
            raise ValueError("at: names no entry; give mac, dst or dev too")
        return cls(**fields)

    def look(self, facts: Facts) -> Look:
        netns = netns_of(facts.cluster, self.at)
        matching = (
            each
            for each in facts.objects()
            if isinstance(each, Fdb) and each.netns == netns
            if same(self.mac, each.mac) and same(self.dst, each.dst) and same(self.dev, each.dev)
        )
        return entry(matching, "forwarding entry", self.absent)
