"""A test of manifests is not green where a rule lets in more than the expectations say, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_netlab

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: ctl, namespace: ing, labels: {app: ing}}
spec: {containers: [{name: c, image: x}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {}
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ing}}
"""
NARROW = "      podSelector: {matchLabels: {app: ing}}\n"
DASH = "    - podSelector: {matchLabels: {app: ing}}\n"


@pytest.mark.parametrize("peers", ["", DASH])
def test_a_rule_for_a_whole_namespace_opens_flows(peers: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(PODS + NARROW)
    new.write_text(PODS + peers)
    shown = run_netlab("test", "--predict", "-f", new, "--against", old).stdout
    assert "opens  ing/stranger (stand-in) -> shop/web:80" in shown
    assert "strangers of namespace ing" in shown
    recorded = tmp_path / "flows.yaml"
    run_netlab("test", "--predict", "-f", old, "--write", recorded)
    run_netlab("test", "--predict", "-f", old, "--expect", recorded)
    assert "ing/stranger" in run_netlab("test", "--predict", "-f", new, "--expect", recorded, check=1).stdout


def test_a_service_without_endpoints_is_not_allowed_by_its_refusal(tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text(
        "{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {selector: {app: b}, ports: [{port: 80}]}}\n---\n"
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: x}]}}\n"
    )
    expect = tmp_path / "flows.yaml"
    expect.write_text("flows: [{from: a, to: svc/b, port: 80, expect: allow}]\n")
    shown = run_netlab("test", "--predict", "-f", tmp_path / "set.yaml", "--expect", expect, check=1).stdout
    assert "Service default/b has no endpoint" in shown


def test_rules_of_a_direction_that_policy_types_leave_out_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text(PODS + NARROW + "  egress: [{}]\n  policyTypes: [Ingress]\n")
    shown = run_netlab("test", "--predict", "--strict", "-f", tmp_path / "set.yaml", check=1).stdout
    assert "rules-without-effect" in shown
    assert "Egress is not among its policyTypes" in shown
