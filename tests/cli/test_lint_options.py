"""Lint and coverage through the door of ``netlab test``: levels, exit statuses, ``--ignore``, ``--coverage``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_netlab

SET = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 5432}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop%s}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: %s}}}]
    ports: [{port: 5432}]
"""


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    return tmp_path / "set.yaml"


@pytest.mark.parametrize(
    ("peer", "annotations", "options", "status"),
    [
        ("web", "", (), 0),
        ("web", "", ("--strict",), 0),
        ("wbe", "", (), 1),
        ("wbe", "", ("--ignore", "selector-typo"), 0),
        ("wbe", "", ("--ignore", "selector-typo:shop/db"), 0),
        ("wbe", "", ("--ignore", "selector-typo:shop/other"), 1),
        ("wbe", ", annotations: {netlab/ignore: selector-typo}", (), 0),
        ("cortex", "", (), 0),
        ("cortex", "", ("--strict",), 1),
        ("cortex", "", ("--strict", "--ignore", "peer-matches-nobody"), 0),
        ("wbe", "", ("--ignore", "selector-tpyo"), 2),
    ],
)
def test_an_error_fails_a_test_and_a_warning_only_a_strict_test(
    manifests: Path, peer: str, annotations: str, options: tuple[str, ...], status: int
) -> None:
    manifests.write_text(SET % (annotations, peer))
    run_netlab("test", "--predict", "-f", manifests, *options, check=status)


def test_a_finding_has_its_code_object_and_line(manifests: Path) -> None:
    manifests.write_text(SET % ("", "wbe"))
    done = run_netlab("test", "--predict", "-f", manifests, "-o", "json", check=1).json
    (error,) = [warning for warning in done["warnings"] if warning["level"] == "error"]
    assert (error["code"], error["object"], error["line"]) == ("selector-typo", "NetworkPolicy shop/db", 18)
    assert error["file"] == str(manifests)


def test_coverage_lists_the_rules_that_no_expectation_holds(manifests: Path, tmp_path: Path) -> None:
    manifests.write_text(SET % ("", "web"))
    expect = tmp_path / "expect.yaml"
    expect.write_text("flows: [{from: shop/web, to: shop/db, port: 5432, expect: allow}]")
    command = ("test", "--predict", "-f", manifests, "--expect", expect, "--coverage")
    text = run_netlab(*command).stdout
    assert f"{manifests}:14:18: NetworkPolicy shop/db isolates for ingress: no expectation would notice" in text
    assert "coverage: the expectations hold 1 of 2 rules of policies" in text
    covered = run_netlab(*command, "-o", "json").json["coverage"]
    assert covered["held"] == 1
    assert [(rule["rule"], rule["removal"], rule["inversion"], rule["line"]) for rule in covered["rules"]] == [
        (None, False, None, 14),
        (0, True, True, 18),
    ]
