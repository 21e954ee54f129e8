"""Recorded packets held against the oracle: what agrees, and what is said where it does not."""

from __future__ import annotations

import pytest

from netlab.diagnose.compare import Comparison, compare
from netlab.diagnose.document import comparison_document
from netlab.diagnose.findings import findings
from netlab.oracle.flow import Outcome
from netlab.oracle.predict import Predictor
from netlab.plain import dump
from tests.pure.diagnose.test_recordings import lab, story


def held(name: str, *, predicted: bool = True) -> Comparison:
    told = story(name)
    verdict = next(iter(Predictor(lab()[0]).predict([told.flow]))) if predicted else None
    return compare(told, findings(told), verdict)


@pytest.mark.parametrize(
    ("name", "observed"),
    [("well-service", "open"), ("well-direct", "open"), ("nobody-listens", "refused"), ("policy", "denied")],
)
def test_what_is_as_the_lab_means_it_agrees(name: str, observed: str) -> None:
    found = held(name)
    assert list(found.lines()) == [f"as predicted: {observed}"]
    assert dump(comparison_document(found)) == {
        "predicted": observed,
        "observed": observed,
        "agrees": True,
        "differences": [],
    }


@pytest.mark.parametrize(
    "name", ["fdb-missing", "route-missing-default-takes-it", "vni-differs", "underlay-drops-vxlan"]
)
def test_a_fault_is_a_difference(name: str) -> None:
    found = held(name)
    assert not found.agrees
    lines = list(found.lines())
    assert all(line.startswith("not as predicted: ") for line in lines)
    assert "the prediction is open" in lines[0] and "timeout" in lines[0]
    assert "the request left its expected path" in lines[1]


def test_a_command_that_does_not_listen_is_no_difference() -> None:
    """The oracle lets the flow through; what a container's own command does on its port is its own business."""
    told = story("nobody-listens")
    verdict = next(iter(Predictor(lab()[0]).predict([told.flow])))
    process = verdict._replace(outcome=Outcome.OPEN, own=True)
    assert compare(told, findings(told), process).agrees
    assert "by the container itself" in next(iter(compare(told, findings(told), process).lines()))
    assert not compare(told, findings(told), process._replace(own=False)).agrees


def test_an_echo_is_predicted_by_nobody() -> None:
    found = held("well-ping", predicted=False)
    assert found.agrees and comparison_document(found).predicted is None
    assert list(found.lines()) == ["not predicted: only TCP and UDP are; the result is open"]
    lost = held("pod-mtu-too-big", predicted=False)
    assert not lost.agrees, "where it left its way is a difference all the same"
