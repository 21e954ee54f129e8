"""Mistakes in manifests that packets confirm, since they do what the documents say: each must have a cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.diagnose.labwide import manifests
from netlab.diagnose.labwide.choose import choose
from netlab.diagnose.labwide.evidence import Evidence
from netlab.lint import lint
from netlab.model import build
from netlab.oracle.compare import check
from netlab.oracle.predict import Predictor
from netlab.plan import check as plan_check
from netlab.plan import desired, drift
from netlab.spec import Text, load_texts
from tests.diagnose import shop

WEB = {"selector": {"app": "web"}, "type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}


def service(name: str, namespace: str = "shop", **spec: object) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def first(*changed: dict[str, Any]) -> tuple[str, str]:
    """The kind and the place of the first cause in a lab with these documents, all packets doing as predicted."""
    documents = {key(each): each for each in map(json.loads, shop.lab("vxlan", "lab").split("\n---\n"))}
    documents |= {key(each): each for each in changed}
    text = "\n---\n".join(map(json.dumps, documents.values()))
    loaded = load_texts([Text("lab.yaml", text)])
    built = build(loaded, check=plan_check)
    cluster, want = built.cluster, desired(built.cluster)
    flows = list(dict.fromkeys(choose(cluster)))
    answers = Predictor(cluster).answer(flows)
    rows = check({}, answers, answers)
    warnings = (*built.warnings, *lint(cluster, loaded))
    found = manifests.causes(Evidence(cluster, want, tuple(rows), drift(want, want, want), {}, warnings), {})
    return (found[0].kind, found[0].place[1]) if found else ("nothing", "")


def key(document: dict[str, Any]) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", "default"), metadata["name"]


def test_a_lab_without_mistakes_has_no_cause() -> None:
    assert first() == ("nothing", "")


@pytest.mark.parametrize("policy", ["externalTrafficPolicy", "internalTrafficPolicy"])
def test_a_service_whose_traffic_stays_on_a_node_without_a_backend_is_a_cause(policy: str) -> None:
    spec = {**WEB, "selector": {"app": "guarded"}, policy: "Local"}
    assert first(service("web", "default", **spec)) == ("service-no-endpoints", "default/web")


def test_source_ranges_that_keep_every_host_out_are_a_cause() -> None:
    spec = {**WEB, "type": "LoadBalancer", "loadBalancerSourceRanges": ["198.51.100.0/24"]}
    assert first(service("web", "default", **spec)) == ("service-no-endpoints", "default/web")


def test_a_port_of_another_protocol_than_the_pods_is_a_cause() -> None:
    spec = {**WEB, "ports": [{"port": 80, "protocol": "UDP", "nodePort": 30080}]}
    assert first(service("web", "default", **spec)) == ("service-protocol", "default/web")


def test_an_exception_that_takes_every_host_out_of_a_block_is_a_cause() -> None:
    world = shop.world("203.0.113.0/24")
    assert first(shop.policy("api-out", "api", egress=[shop.TO_DB, shop.DNS, world])) == ("ip-block", "shop/api-out")


def test_a_policy_that_shuts_a_namespace_is_the_cause_and_not_its_effects() -> None:
    assert first(shop.policy("lockdown", "", ingress=[], egress=[]))[1] == "shop/lockdown"


def test_the_mistake_comes_before_its_effects() -> None:
    api = {"podSelector": {"matchLabels": {"app": "front"}}}
    guard = shop.policy("api-guard", "api", ingress=[{"from": [api], "ports": [{"port": 80}]}])
    assert first(guard) == ("port-of-service", "shop/api-guard")


def test_a_rule_that_the_other_side_denies_is_a_mistake_of_the_side_that_denies() -> None:
    assert first(shop.policy("api-out", "api", egress=[])) == ("one-sided", "shop/api-out")


def test_a_policy_that_lets_a_pod_send_nothing_is_a_cause() -> None:
    assert first(shop.policy("web-out", "web", "default", egress=[])) == ("shut", "default/web-out")


def test_an_external_name_that_no_service_of_the_cluster_has_is_a_cause() -> None:
    spec = {"type": "ExternalName", "externalName": "db.shp.svc.cluster.local"}
    assert first(service("db", **spec)) == ("service-external-name", "shop/db")
