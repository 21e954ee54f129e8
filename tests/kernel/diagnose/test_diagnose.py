"""``netlab diagnose`` in a lab that hands broke: a few breakages of each sort; ``breakages`` has them all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RUN, run_netlab
from tests.kernel.diagnose import breakages
from tests.kernel.diagnose.breakages import BREAKAGES, Breakage

SOME = (
    "tunnel down",
    "Pod's default route gone",
    "forwarding off",
    "Service's rules flushed",
    "policy's table deleted",
    "firewall drops forwarded",
)
Lab = tuple[str, Path, dict[str, str]]


@pytest.fixture(scope="module")
def broken_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    name = f"t{RUN}w{os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw')}diag"
    file = tmp_path_factory.mktemp("diagnose") / "lab.yaml"
    file.write_text(breakages.lab("vxlan", name))
    run_netlab("up", file)
    yield name, file, breakages.names(name)
    run_netlab("down", name)


def test_a_healthy_lab_has_no_cause(broken_lab: Lab) -> None:
    document = run_netlab("diagnose", broken_lab[0], "-o", "json").json
    assert document["causes"] == []
    assert document["broken"] == 0
    assert document["probed"] > 50
    assert "default/guard" in document["notes"][0]


@pytest.mark.parametrize("breakage", [each for each in BREAKAGES if each.name in SOME], ids=lambda each: each.name)
def test_the_first_cause_is_what_was_broken(broken_lab: Lab, breakage: Breakage) -> None:
    name, file, named = broken_lab
    breakages.sh(breakage.lines.format(**named))
    try:
        document: dict[str, Any] = run_netlab("diagnose", name, "-o", "json", check=1).json
        assert breakages.right(breakage, document), document["causes"][:2]
        cause = document["causes"][0]
        assert cause["look"]
        assert cause["real"]
        for line in cause["mend"]:
            breakages.sh(line.replace("netlab up", "true"))
    finally:
        breakages.heal(named)
        run_netlab("up", file)


def test_a_policy_that_does_its_work_is_no_cause_of_a_missing_route(kit: Any, lab: str) -> None:
    run_netlab("up", "policy", "--name", lab)
    breakages.sh(f"ip -n {lab}-node-1 route del 10.244.2.0/24")
    causes = run_netlab("diagnose", lab, "-o", "json", check=1).json["causes"]
    assert [cause["kind"] for cause in causes] == ["route-missing"]
