"""``spec.policy.enforce: none``: the lab has policies, and netlab makes no rules of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab

pytestmark = pytest.mark.kernel

DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "nobody"},
    "spec": {"podSelector": {"matchLabels": {"app": "server"}}},
}


def test_predictions_say_what_policies_want_and_every_verb_says_that_nobody_enforces_them(
    kit: Any, lab: str, tmp_path: Path
) -> None:
    spec = kit.spec(lab, [("client", "node-1"), ("server", "node-2")], dataplane="host-gw", policy={"enforce": "none"})
    file = tmp_path / "lab.yaml"
    file.write_text(f"{spec}\n---\n{json.dumps(DENY)}\n")
    said = "netlab makes no rules of policies in this lab"
    assert said in run_netlab("up", str(file), check=0).stderr
    try:
        reach = json.loads(run_netlab("reach", lab, "--from", "client", "--to", "server", "-o", "json", check=0).stdout)
        assert {flow["outcome"] for flow in reach["flows"]} == {"open"}
        assert [each["code"] for each in reach["warnings"]] == ["policies-not-enforced"]
        closed = run_netlab("reach", lab, "--from", "client", "--to", "server", "--port", "81", "-o", "json", check=0)
        assert sorted(flow["outcome"] for flow in json.loads(closed.stdout)["flows"]) == ["open", "refused"]
        checked = run_netlab("check", lab, check=1)
        assert "got open (predicted: denied" in checked.stdout and said in checked.stderr
        explained = run_netlab("explain", "client", "server", "--lab", lab, check=1)
        assert "nobody" in explained.stdout and said in explained.stderr
        traced = run_netlab("trace", "client", "server", "--lab", lab, check=1)
        assert "spec.policy.enforce: none" in traced.stdout
        diff = run_netlab("diff", lab, check=0)
        assert "no drift" in diff.stdout and said in diff.stderr
        assert run_netlab("get", "netpol", "--lab", lab, check=0).stdout.split()[-1] == "no"
        assert said in run_netlab("describe", "netpol", "nobody", "--lab", lab, check=0).stdout
        assert json.loads(run_netlab("graph", lab, "-o", "json", check=0).stdout)["enforced"] is False
    finally:
        run_netlab("down", lab, check=0)


def test_silence_is_a_denial_where_a_policy_explains_it_and_no_other(kit: Any, lab: str, tmp_path: Path) -> None:
    spec = kit.spec(lab, [("client", "node-1"), ("server", "node-2")], dataplane="host-gw", policy={"enforce": "none"})
    file = tmp_path / "lab.yaml"
    file.write_text(f"{spec}\n---\n{json.dumps(DENY)}\n")
    run_netlab("up", str(file), check=0)
    try:
        drop = "add table inet mine; add chain inet mine f { type filter hook forward priority 0; }; add rule inet mine f drop"
        run_netlab("exec", "node-2", "--lab", lab, "--", "nft", drop, check=0)
        words = ("--timeout", "0.3", "-o", "json")
        flows = json.loads(run_netlab("reach", lab, *words, check=0).stdout)["flows"]
        outcomes = {(flow["from"], flow["to"]): flow["outcome"] for flow in flows}
        assert outcomes["default/client", "default/server"] == "denied"
        assert outcomes["default/server", "default/client"] == "timeout"
    finally:
        run_netlab("down", lab, check=0)
