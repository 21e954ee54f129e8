"""What ``--write`` records holds when it is read again, whatever the set has in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netlab.spec import Text
from netlab.testing.prepared import Options, Source, prepare
from netlab.testing.record import record
from netlab.testing.result import judge

BOUTIQUE = Path(__file__).resolve().parents[2] / "kernel/cases/inputs/online-boutique.yaml"


def deployment(name: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    ports = [{"containerPort": 80}]
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "x", "ports": ports}], **spec},
    }
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


def policy(name: str, **spec: Any) -> dict[str, Any]:
    whole = {"podSelector": {"matchLabels": {"app": name}}, **spec}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": whole}


def service(name: str, app: str, **spec: Any) -> dict[str, Any]:
    whole = {"selector": {"app": app}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": whole}


CLIENT = {"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}
SETS: dict[str, list[dict[str, Any]]] = {
    "a Service without endpoints": [deployment("web"), service("gone", "nobody")],
    "a Service whose clients are masqueraded": [
        deployment("web", 2), deployment("client"), policy("web", ingress=[CLIENT]),
        service("balanced", "web", type="LoadBalancer"),
    ],
    "families that differ": [
        deployment("web"), deployment("client"), service("web", "web", ipFamilyPolicy="RequireDualStack"),
        policy("web", ingress=[CLIENT, {"from": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}]),
    ],
    "replicas that differ": [
        deployment("web", 3), deployment("client"),
        policy("web", ingress=[{"from": [{"ipBlock": {"cidr": "10.244.2.0/24"}}]}]),
    ],
    "a Service with a backend that admits nobody": [
        deployment("web"), deployment("client"), service("both", "web"), policy("web", policyTypes=["Ingress"]),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "open", "labels": {"tier": "both"}},
         "spec": {"containers": [{"name": "main", "image": "x", "ports": [{"containerPort": 80}]}]}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shut", "labels": {"tier": "both", "app": "web"}},
         "spec": {"containers": [{"name": "main", "image": "x", "ports": [{"containerPort": 80}]}]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mixed"},
         "spec": {"selector": {"tier": "both"}, "ports": [{"port": 80}]}},
    ],
    "stand-ins and namespaces": [
        deployment("web"), policy("worker", ingress=[{"ports": [{"port": 9000}]}]),
        policy("web", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "yes"}}}]}],
               egress=[{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}], policyTypes=["Ingress", "Egress"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", [*SETS, "Online Boutique"])
def test_what_is_recorded_holds(name: str) -> None:
    body = (
        BOUTIQUE.read_text()
        if name not in SETS
        else json.dumps({"apiVersion": "v1", "kind": "List", "items": SETS[name]})
    )
    texts = (Text("set.yaml", body),)
    first = judge(prepare(Source("", texts), Options()), None, 0.0)
    written = record(first)
    again = judge(prepare(Source("", texts, written, "written.yaml"), Options()), None, 0.0)
    assert not first.failed
    assert [(str(row.flow), row.message) for row in again.failed] == []
    assert sum(row.expectation is not None for row in again.rows) >= len([row for row in first.rows if row.ok]) // 2
