"""``sysctl``: the value of a sysctl."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from netlab.exercise.facts import Facts, Look
from netlab.exercise.places import netns_of
from netlab.values import dataclass

_NAME = re.compile(r"net(?:[./][A-Za-z0-9_-]+)+\Z")


@dataclass(frozen=True, slots=True)
class SysctlValue:
    """The name has dots, or slashes where the name of a device has a dot."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = False

    at: str
    name: str
    value: str

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> SysctlValue:
        if not _NAME.match(fields["name"]):
            raise ValueError("name: is no sysctl of a network namespace, such as net.ipv4.ip_forward")
        return cls(fields["at"], fields["name"], str(fields["value"]))

    def look(self, facts: Facts) -> Look:
        value = facts.sysctl(netns_of(facts.cluster, self.at), self.name)
        return Look(value == self.value, f"{self.name} = {value}" if value is not None else f"no {self.name} here")
