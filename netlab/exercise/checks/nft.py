"""``nft``: a table of nftables, a rule in it, and what the rule counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from netlab.exercise.facts import Facts, Look
from netlab.exercise.places import netns_of
from netlab.values import dataclass

_COUNTER = re.compile(r"\bcounter packets (\d+)\b")
_TABLE = re.compile(r"(?:ip|ip6|inet|bridge|arp|netdev) [A-Za-z_][-\w./]*\Z")


@dataclass(frozen=True, slots=True)
class Nft:
    """``rule``: a text in a line of the listing; ``counted``: the packets that the counters of these lines have."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = False

    at: str
    table: str
    rule: str = ""
    counted: int = 0
    absent: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Nft:
        if not _TABLE.match(fields["table"]):
            raise ValueError("table: is no family and name of a table, such as inet hardening")
        if fields.get("counted") and (fields.get("absent") or not fields.get("rule")):
            raise ValueError("counted: needs rule, and no absent")
        return cls(**fields)

    def look(self, facts: Facts) -> Look:
        listing = facts.table(netns_of(facts.cluster, self.at), self.table)
        lines = [line for line in listing.splitlines() if self.rule in line]
        noun = "such rule" if self.rule else f"table {self.table}"
        there = bool(lines) if self.rule else bool(listing)
        if self.absent or not there:
            return Look(there != self.absent, f"there is {'a' if self.rule else ''} {noun}" if there else f"no {noun}")
        count = sum(int(number) for line in lines for number in _COUNTER.findall(line))
        return Look(count >= self.counted, f"{count} packets counted" if self.counted else noun)
