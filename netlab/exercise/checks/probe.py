"""``probe``: packets of one flow have an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from netlab.errors import Mark
from netlab.exercise.facts import Facts, Look
from netlab.model import Cluster
from netlab.oracle.compare import meets
from netlab.oracle.expect import Expectations, Line, Written
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.flows import parse_port
from netlab.oracle.resolve import expected
from netlab.oracle.selectors import Selector
from netlab.values import dataclass

T = TypeVar("T")
_NOWHERE = Mark("exercise.yaml", 1)  # what is wrong with a field has been said with its own place


@dataclass(frozen=True, slots=True)
class Probe:
    """``client``: the address that the server must see, "" for any."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = True

    line: Line
    client: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Probe:
        source = Written(_read("from", Selector.parse, fields["from"]), _NOWHERE)
        target = Written(_read("to", Selector.parse, fields["to"]), _NOWHERE)
        port = _read("port", parse_port, str(fields["port"])) if "port" in fields else None
        line = Line((source,), (target,), port, fields["expect"], "", _NOWHERE, size=fields.get("size", 0))
        return cls(line, fields.get("client", ""))

    def flows(self, cluster: Cluster) -> list[Flow]:
        """The flows that it speaks of.  Raises BadInput for what the lab does not have."""
        return list(expected(Expectations("", (self.line,), _NOWHERE), cluster))

    def look(self, facts: Facts) -> Look:
        flows = self.flows(facts.cluster)
        return self.judged(facts.probed(flows), flows)

    def judged(self, verdicts: Mapping[Flow, Verdict], flows: list[Flow]) -> Look:
        """The result by the verdicts of its flows: the first that is not as it should be."""
        text = ""
        for flow in flows:
            verdict = verdicts[flow]
            text = f"{flow.src.name.removeprefix('default/')} -> {flow.dst.name.removeprefix('default/')}: {verdict.outcome}"
            if verdict.outcome is Outcome.OPEN and self.client:
                text += f", seen as {verdict.client}"
            if not meets(self.line.expect, verdict, None) or (self.client and verdict.client != self.client):
                return Look(False, text)
        return Look(True, text)


def _read(field: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
