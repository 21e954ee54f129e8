"""A client that ClientIP affinity keeps at one backend meets that one alone: the others are predicted, and said to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel

DENY = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: all}, spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}}"


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    bed = Bed(lab_name)
    bed.up("affinity")
    yield bed
    run_netlab("down", lab_name)


def asked(bed: Bed) -> dict[str, Any]:
    flows = bed.netlab("reach", "--from", "client", "--to", "svc/web", "-o", "json").json["flows"]
    assert len(flows) == 1
    flow: dict[str, Any] = flows[0]
    return flow


def met(flow: dict[str, Any]) -> list[str]:
    return [backend["to"] for backend in flow["backends"] if backend.get("asked", True)]


def test_only_the_backend_that_was_met_counts_as_asked(bed: Bed) -> None:
    bed.netlab("delete", "networkpolicy", "canary")
    where = bed.who("client", f"http://{bed.netlab('get', 'service', 'web', '-o', 'json').json['spec']['clusterIP']}")
    for _ in range(4):  # every time the same, which real clients met before
        flow = asked(bed)
        assert (flow["outcome"], flow["server"]) == ("open", f"default/{where['pod'].rpartition('/')[2]}")
        assert met(flow) == [flow["server"]]
        says = [because["says"] for because in flow["because"]]
        assert f"one of 2 backends was asked, {flow['server']}; the others are predicted" in says


def test_a_service_without_affinity_has_all_its_backends_asked(bed: Bed) -> None:
    bed.netlab("delete", "networkpolicy", "canary")
    service = (
        "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}"
    )
    bed.netlab("apply", "-f", "-", input=service)
    assert met(asked(bed)) == ["default/a", "default/b"]


def test_backends_that_differ_are_mixed_whichever_was_met(bed: Bed, tmp_path: Path) -> None:
    file = tmp_path / "expect.yaml"
    file.write_text("flows: [{from: client, to: svc/web, port: 80, expect: allow}]\n")
    flow = asked(bed)
    assert flow["outcome"] == "mixed" and len(met(flow)) == 1, flow
    line = bed.netlab("check", bed.name, "--expect", str(file), check=1).stdout.splitlines()[0]
    who = "default/b" if met(flow) == ["default/b"] else "default/b, predicted"
    assert f"got mixed: 1 of 2 backends: denied by policy default/canary ({who})" in line, line
    told = bed.netlab("explain", "client", "svc/web", check=1).stdout
    assert "keeps a client at one backend for 600 s" in told


def test_a_denial_that_names_no_backend_is_claimed_of_none(bed: Bed) -> None:
    bed.netlab("apply", "-f", "-", input=DENY)
    flow = asked(bed)
    assert flow["outcome"] == "denied" and met(flow) == [], flow
    assert "one of 2 backends was asked, which gave no name" in flow["because"][-1]["says"]


def test_a_silence_that_nothing_predicts_stays_a_failure(bed: Bed, kit: Any, tmp_path: Path) -> None:
    bed.netlab("delete", "networkpolicy", "canary")
    for pod in ("a", "b"):
        kit.sh(f"ip netns exec {bed.name}-{pod} nft 'table inet loss {{ chain in {{ type filter hook input priority 0; "
               "tcp dport 80 drop; }; }'")  # fmt: skip
    file = tmp_path / "expect.yaml"
    file.write_text("flows: [{from: client, to: svc/web, port: 80, expect: allow}]\n")
    line = bed.netlab("check", bed.name, "--expect", str(file), check=1).stdout.splitlines()[0]
    assert "expected allow, got timeout" in line, line
