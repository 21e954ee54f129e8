"""Counters of deny rules against the packets that must have moved them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from netlab.oracle.denials import Denial, Evidence
from netlab.oracle.flow import Flow, Outcome, Verdict

NEAR, FAR = Denial("node-1", "default/near", "ingress"), Denial("node-2", "default/far", "ingress")
ENDS = frozenset((NEAR, FAR))


class Reasons:
    """What Evidence asks of a cluster's denials."""

    silenced = (Outcome.TIMEOUT,)
    counted = True

    def because(self, end: Denial) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("counted", "repeated", "outcome"),
    [
        (2, {}, Outcome.DENIED),
        (1, {}, Outcome.TIMEOUT),
        # The kernel sent the SYN of the counted attempt twice: the other attempt ended somewhere else.
        (2, {ENDS: 1}, Outcome.TIMEOUT),
        (3, {ENDS: 1}, Outcome.DENIED),
    ],
)
def test_a_repeated_syn_explains_no_other_silence(
    counted: int, repeated: dict[frozenset[Denial], int], outcome: Outcome
) -> None:
    flow = cast("Flow", "a flow to a Service of two backends")
    evidence = Evidence(cast("Any", Reasons()), {}, lambda _: ENDS)
    for _ in range(2):
        assert evidence.held(Verdict(flow, Outcome.TIMEOUT))
    verdicts = list(evidence.confirm({NEAR: counted, FAR: 0}, {flow}, repeated))
    assert [one.outcome for one in verdicts] == [outcome, outcome]
