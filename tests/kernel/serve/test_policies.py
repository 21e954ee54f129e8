"""Policies on the page: ends by judgement and reason, and the lines of the rules as they were applied."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.runtime import lab as labs
from netlab.serve.policies import document, extent, grouped
from tests.conftest import run_netlab
from tests.kit.served import SECONDS, Served

BAIT = "<script>alert(1)</script>"
POLICY = """\
# {bait}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: only-client, annotations: {{note: "{bait}"}}}}
spec:
  podSelector: {{matchLabels: {{app: server}}}}
  ingress:
  - from:
    - podSelector: {{matchLabels: {{app: client}}}}
    # {bait}
    ports:
    - port: 80
  - from: [{{ipBlock: {{cidr: 203.0.113.0/24}}}}]
"""


@pytest.fixture
def page(lab_name: str, kit: Any, tmp_path: Any) -> Iterator[Served]:
    run_netlab("up", "policy", "--name", lab_name)
    served = Served(lab_name)
    served.visit()
    yield served
    served.process.terminate()
    served.process.wait(SECONDS)
    labs.down(lab_name)
    assert kit.remains(lab_name) == []


@pytest.mark.kernel
def test_who_may_reach_a_pod_and_by_which_lines(page: Served, lab_name: str, tmp_path: Any) -> None:
    def judged(**asked: str) -> dict[str, Any]:
        status, text = page.post("/page/v1/policies", asked)
        assert status == 200, text
        found: dict[str, Any] = json.loads(text)
        return found

    found = judged(pod="default/server", side="ingress")
    first = found["groups"][0]
    assert (first["names"], first["allowed"], first["port"]) == (["default/client"], True, "80/TCP")
    assert first["sides"]["ingress"]["rule"]["rule"] == "ingress[0]"
    missed = {
        group["names"][0]: group["sides"]["ingress"]["missed"] for group in found["groups"] if not group["allowed"]
    }
    assert missed["default/intruder"][0]["says"] == "peer default/intruder has app=intruder, not app=client"
    (policy,) = found["policies"]
    assert (policy["name"], policy["rules"]) == (
        "default/allow-only-client",
        [{"rule": "ingress[0]", "lines": [13, 19]}],
    )
    run_netlab("delete", "netpol", "allow-only-client", "--lab", lab_name)
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.format(bait=BAIT))
    run_netlab("apply", "-f", file, "--lab", lab_name)
    file.write_text("no longer what was applied\n")
    until = time.monotonic() + SECONDS
    while [policy["name"] for policy in found["policies"]] != ["default/only-client"]:  # the page reads the lab again
        assert time.monotonic() < until
        found = judged(pod="default/server", side="ingress")
    assert found["policies"][0]["lines"][0] == f"# {BAIT}"
    assert [rule["lines"] for rule in found["policies"][0]["rules"]] == [[8, 12], [13, 13]]
    (group,) = (group for group in judged(pod="default/intruder", side="egress")["groups"] if not group["allowed"])
    assert group["names"] == ["default/server"]
    assert "serves no port" in judged(pod="default/intruder", side="ingress")["says"]
    for asked in (
        {"pod": "--help", "side": "ingress"},
        {"pod": "default/server", "side": "both"},
        {"pod": "node-1", "side": "ingress"},
    ):
        assert page.post("/page/v1/policies", asked)[0] == 400


def test_ends_with_the_same_reason_are_one_group() -> None:
    def flow(name: str, says: str, address: str = "10.0.0.1") -> dict[str, Any]:
        side = {"allowed": True, "exempt": says, "policies": [], "allowed_by": None, "missed": []}
        ends = {"from": name, "to": "default/web", "address": address, "port": 80, "protocol": "TCP"}
        return {**ends, "allowed": True, "outcome": "open", "because": [], "ingress": side, "egress": None}

    found = grouped([
        flow("default/a", "no policy isolates default/a"),
        flow("default/a", "no policy isolates default/a", "fd00::1"),
        flow("default/b", "no policy isolates default/b"),
        flow("node-1", "default/web is on node-10"),
        flow("default/web", "a Pod always reaches itself"),
    ], "ingress")  # fmt: skip
    assert [(group["names"], group["sides"]["ingress"]["exempt"]) for group in found] == [
        (["default/a", "default/b"], "no policy isolates each"),
        (["node-1"], "default/web is on node-10"),
    ]


def test_the_lines_of_a_document_and_of_an_item() -> None:
    lines = ["a: 1", "---", "b:", "- c: 1", "  d:", "  - e", "# f", "", "- g", "h: 2", "", "---", "i: 3"]
    assert document(lines, 1) == (1, 1)
    assert document(lines, 5) == (3, 10)
    assert document(lines, 13) == (13, 13)
    assert document(lines, 99) == (1, 0)
    assert extent(lines, 4) == (4, 6)
    assert extent(lines, 9) == (9, 9)
    assert extent(["x:", "- {y: [1,", "  2]}", "z: 1"], 2) == (2, 3)
