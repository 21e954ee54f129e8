"""``matrix``: packets of several flows have their outcomes, all asked at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from netlab.exercise.checks.probe import Probe
from netlab.exercise.facts import Facts, Look
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Matrix:
    """Flows that are judged together."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = True

    probes: tuple[Probe, ...]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Matrix:
        probes = []
        for at, flow in enumerate(fields["flows"]):
            try:
                probes.append(Probe.of(flow))
            except ValueError as error:
                raise ValueError(f"flows.{at}.{error}") from None
        return cls(tuple(probes))

    def look(self, facts: Facts) -> Look:
        asked = {probe: probe.flows(facts.cluster) for probe in self.probes}
        verdicts = facts.probed(dict.fromkeys(flow for flows in asked.values() for flow in flows))
        looks = [probe.judged(verdicts, flows) for probe, flows in asked.items()]
        wrong = [look.saw for look in looks if not look.ok]
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Look(not wrong, f"{wrong[0]}{more}" if wrong else f"{len(looks)} of {len(looks)} flows")
