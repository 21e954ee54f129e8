"""``resolves``: a Pod can look a name up, or cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netlab.exercise.facts import Facts, Look
from netlab.near import near
from netlab.oracle.expect import ALLOW
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Resolves:
    """A lookup by the Pod's own hosts file and resolv.conf."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = True

    pod: str
    name: str
    allowed: bool

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Resolves:
        return cls(fields["from"], fields["name"], fields["expect"] == ALLOW)

    def look(self, facts: Facts) -> Look:
        name = self.pod if "/" in self.pod else f"default/{self.pod}"
        pods = {str(pod): pod for pod in facts.cluster.pods}
        if name not in pods:
            raise ValueError(f'the lab has no Pod "{self.pod}"{near(name, pods)}')
        lookup = facts.lookup(pods[name], self.name)
        outcome = lookup.queries[-1].outcome if lookup.queries else "no query"
        text = f"{self.name}: {', '.join(lookup.addresses) or outcome}"
        return Look(bool(lookup.addresses) == self.allowed, text)
