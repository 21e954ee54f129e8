"""Each lab folder keeps its promises: it comes up, oracle, packets and expect.yaml agree, and it goes without a trace."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab
from tests.kernel_features import needed_by_lab

ROOT = Path(__file__).resolve().parents[2]
LABS = sorted(p.parent for p in (ROOT / "labs").glob("*/lab.yaml"))


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[..., None]:
    """How a verb ended, for JUnit's file and with it for the table of `invoke vm-test`."""

    def noted(name: str, status: int) -> None:
        request.node.user_properties.append((f"verb:{name}", f"exit {status}" if status else "ok"))

    return noted


@pytest.fixture
def verb(note: Callable[..., None]) -> Callable[..., Any]:
    """A verb's JSON document; ``name``: its column in the table."""

    def perform(name: str, *words: str) -> Any:
        said = run_netlab(*words, "-o", "json", check=None)
        note(name, said.status)
        assert said.status == 0, f"netlab {' '.join(words)}: {said.status}\n{said.stdout}{said.stderr}"
        return said.json

    return perform


@pytest.mark.kernel
@pytest.mark.parametrize(
    "lab",
    [pytest.param(lab, marks=pytest.mark.needs(*needed_by_lab(lab))) for lab in LABS],
    ids=[lab.name for lab in LABS],
)
def test_lab_is_as_its_page_says(lab: Path, lab_name: str, verb: Callable[..., Any], note: Callable[..., None]) -> None:
    try:
        up = verb("up", "up", str(lab), "--name", lab_name)
        assert up["changed"] > 0 and up["pods"] > 0
        assert verb("diff", "diff", lab_name)["operations"] == []
        held = verb("check", "check", lab_name)
        assert held["failed"] == 0 and held["passed"] == len(held["flows"]) > 0
        for row in held["flows"]:
            assert row["predicted"] == row["outcome"], "the oracle predicts what packets do"
        asked = {(row["from"], row["to"], row["port"]) for row in held["flows"]}
        seen = {(row["from"], row["to"], row["port"]) for row in verb("reach", "reach", lab_name)["flows"]}
        assert seen <= asked, "expect.yaml has an expectation for each flow that there is"
        traced(held["flows"], lab_name, verb)
        assert verb("diff again", "diff", lab_name)["operations"] == [], "verbs that read change nothing"
        assert verb("up again", "up", str(lab), "--name", lab_name)["changed"] == 0
    finally:
        down = run_netlab("down", lab_name, check=None)
        note("down", down.status)
    assert down.status == 0, down.stderr
    left = [name for name in os.listdir("/run/netns") if name.startswith(f"{lab_name}-")]
    assert left == [] and not Path("/run/netlab", lab_name).exists()


def traced(flows: list[dict[str, Any]], lab: str, verb: Callable[..., Any]) -> None:
    """The first flow that reaches its target has the same outcome when it is traced."""
    flow = next(
        row for row in flows if row["outcome"] == "open" and row["protocol"] == "TCP" and row["from_kind"] == "pod"
    )
    namespace, client = flow["from"].split("/")
    target = flow["to"].removeprefix(f"{namespace}/") if flow["to_kind"] == "pod" else flow["address"]
    words = ("--lab", lab, "-n", namespace, "--timeout", "30", client, f"{target}:{flow['port']}")
    assert verb("trace", "trace", *words)["outcome"] == "open"
