"""The quick text of a flow is the same JSON as the slow one."""

from __future__ import annotations

import json

import pytest

from netlab.errors import Mark
from netlab.objects import Why
from netlab.oracle.flow import ADDRESS, POD, Endpoint, Flow, Outcome, Verdict
from netlab.oracle.report import flow_fields, flow_line
from netlab.output import flows
from netlab.plain import dump

SOURCE = Endpoint(POD, "default/a", "lab-a", ("10.244.1.2",))


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(
            Flow(SOURCE, Endpoint(POD, 'shop/"b"', "lab-b", ("fd00::2",)), "fd00::2", 80), Outcome.OPEN, "shop/b", "x"
        ),
        Verdict(
            Flow(SOURCE, Endpoint(ADDRESS, "192.0.2.1", "", ("192.0.2.1",)), "192.0.2.1", 53, "UDP"), Outcome.TIMEOUT
        ),
        Verdict(
            Flow(SOURCE, SOURCE, "10.244.1.2", 1), Outcome.DENIED, None, None, (Why("x", Mark("f", 3), "a/b", "r"),)
        ),
    ],
)
def test_both_say_the_same(verdict: Verdict) -> None:
    assert json.loads(flow_line(verdict)) == json.loads(json.dumps(dump(flows.Flow(**flow_fields(verdict)))))
