"""Sets of released projects, reduced to the objects that matter: their known faults are found, the healthy are quiet.

The table of docs/lint.md is held against these.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from netlab.lint import kept, lint, strict
from netlab.model import build
from netlab.spec import Warning, load_text

PAGE = Path(__file__).resolve().parents[3] / "docs" / "lint.md"
Object = dict[str, Any]


def thing(kind: str, name: str, spec: Object, version: str = "v1", **more: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "ns"}, "spec": spec, **more}


def deploy(name: str, *ports: int | tuple[str, int], labels: Object | None = None, env: Object | None = None,
           maps: tuple[str, ...] = (), kind: str = "Deployment", host: bool = False) -> Object:  # fmt: skip
    own = labels or {"name": name}
    listed = [{"containerPort": port} if isinstance(port, int) else {"name": port[0], "containerPort": port[1]}
              for port in ports]  # fmt: skip
    container = {
        "name": "c",
        "image": "x",
        "ports": listed,
        "env": [{"name": key, "value": text} for key, text in (env or {}).items()],
        "envFrom": [{"configMapRef": {"name": each}} for each in maps],
    }
    template = {"metadata": {"labels": own}, "spec": {"containers": [container], "hostNetwork": host}}
    spec = {"selector": {"matchLabels": own}, "template": template}
    return thing(kind, name, spec, "apps/v1")


def svc(name: str, port: int, target: int | str, selector: Object | None = None) -> Object:
    return thing(
        "Service", name, {"selector": selector or {"name": name}, "ports": [{"port": port, "targetPort": target}]}
    )


def pods(**labels: str) -> Object:
    return {"podSelector": {"matchLabels": labels}}


def np(name: str, subject: Object, ingress: list[Object] | None = None, egress: list[Object] | None = None) -> Object:
    types = [word for word, rules in (("Ingress", ingress), ("Egress", egress)) if rules is not None]
    spec = {
        "podSelector": {"matchLabels": subject},
        "policyTypes": types,
        "ingress": ingress or [],
        "egress": egress or [],
    }
    return thing("NetworkPolicy", name, spec, "networking.k8s.io/v1")


def ports(*numbers: int | str) -> list[Object]:
    return [{"port": number} for number in numbers]


def webhook(name: str, service: str) -> Object:
    client = {"clientConfig": {"service": {"namespace": "ns", "name": service}}}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name}, "webhooks": [{"name": "a", **client}]}  # fmt: skip


def settings(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ns"}, "data": data}


DNS = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}
CLOSED = np("default-deny", {}, [])

SETS: dict[str, tuple[list[Object], set[tuple[str, str]], set[tuple[str, str]]]] = {
    # name: objects, the errors and warnings, the notes
    "sock-shop": (
        [
            *(deploy(name, 80) for name in ("front-end", "carts", "orders")),
            *(svc(name, 80, 80) for name in ("front-end", "carts", "orders")),
            deploy("carts-db", 27017),
            svc("carts-db", 27017, 27017),
            deploy("session-db", 6379),
            svc("session-db", 6379, 6379),
            CLOSED,
            np("front-end-access", {"name": "front-end"}, [{}]),
            np("orders-access", {"name": "orders"}, [{"from": [pods(name="front-end")], "ports": ports(80)}]),
            np("cart-access", {"name": "cart"}, [{"from": [pods(name="front-end")], "ports": ports(80)}]),
            np("carts-db-access", {"name": "carts-db"}, [{"from": [pods(name="cart")], "ports": ports(27017)}]),
            np("cortex-access", {}, [{"from": [pods(name="cortex")]}]),
        ],
        {
            ("selector-typo", "NetworkPolicy ns/cart-access"),
            ("selector-typo", "NetworkPolicy ns/carts-db-access"),
            ("peer-matches-nobody", "NetworkPolicy ns/cortex-access"),
            ("closed-port", "Service ns/session-db"),
            ("closed-port", "Service ns/carts"),
        },
        {("denies-nothing", "NetworkPolicy ns/front-end-access")},
    ),
    "wazuh": (
        [
            deploy("worker", 1514, 1516, labels={"app": "manager", "node-type": "worker"},
                   env={"WAZUH_INDEXER_HOSTS": "indexer:9200"}, kind="StatefulSet"),
            deploy("master", 1516, 55000, labels={"app": "manager", "node-type": "master"},
                   env={"WAZUH_INDEXER_HOSTS": "indexer:9200"}, kind="StatefulSet"),
            deploy("indexer", 9200, 9300, labels={"app": "indexer"}, kind="StatefulSet"),
            svc("indexer", 9200, 9200, {"app": "indexer"}),
            np("manager-egress", {"app": "manager", "node-type": "master"}, None,
               [DNS, {"to": [pods(app="indexer")], "ports": ports(9200)}]),
            np("worker-egress", {"node-type": "worker"}, None,
               [DNS, {"to": [{"podSelector": {"matchLabels": {"node-type": "master"}}}], "ports": ports(1516)},
                {"to": [{"podSelector": {"matchLabels": {"node-type": "master"}}}], "ports": ports(55000)}]),
            np("master-ingress", {"node-type": "master"},
               [{"from": [{"podSelector": {"matchLabels": {"node-type": "worker"}}}], "ports": ports(1516)}]),
            np("indexer-ingress", {"app": "indexer"},
               [{"from": [pods(app="indexer")], "ports": ports(9300)},
                {"from": [{"podSelector": {"matchLabels": {"node-type": "master"}}}], "ports": ports(9200)}]),
        ],
        set(),
        {
            ("named-flow", "StatefulSet ns/worker"),
            ("one-sided", "NetworkPolicy ns/worker-egress"),
        },
    ),
    "kubernetes-dashboard": (
        [
            *(deploy(name, (name, 8000), labels={"app": "dashboard", "part": name}) for name in ("api", "web", "auth")),
            deploy("scraper", 8000, labels={"app": "dashboard", "part": "scraper"}),
            *(svc(name, 8000, 8000, {"part": name}) for name in ("api", "web", "auth", "scraper")),
            np("dashboard", {"app": "dashboard"}, [{"ports": ports("web", "api")}]),
        ],
        {("closed-port", "Service ns/auth"), ("closed-port", "Service ns/scraper")},
        set(),
    ),
    "gatekeeper": (
        [
            deploy("controller", ("webhook", 8443), labels={"control-plane": "controller"}),
            deploy("audit", 8888, labels={"control-plane": "audit"}),
            svc("webhook", 443, "webhook", {"control-plane": "controller"}),
            webhook("validating", "webhook"),
            np("gatekeeper", {}, [{"from": [{"podSelector": {}}]}]),
        ],
        {("api-server-denied", "Service ns/webhook")},
        set(),
    ),
    "kube-prometheus": (
        [
            deploy("node-exporter", 9100, kind="DaemonSet", host=True),
            np("node-exporter", {"name": "node-exporter"}, [{"from": [pods(name="prometheus")], "ports": ports(9100)}]),
            np("prometheus", {"name": "prometheus"}, [{"ports": ports(9090)}]),
            thing("Prometheus", "k8s", {}, "monitoring.coreos.com/v1"),
        ],
        {("policy-selects-nothing", "NetworkPolicy ns/node-exporter")},
        {("policy-selects-nothing", "NetworkPolicy ns/prometheus"), ("peer-matches-nobody", "NetworkPolicy ns/node-exporter")},
    ),
    "argo-cd-ha": (
        [
            *(deploy(name, 8080, maps=("params",)) for name in ("server", "dex")),
            settings("params", **{"redis.server": "haproxy:6379"}),
            deploy("haproxy", 6379),
            svc("haproxy", 6379, 6379),
            np("haproxy", {"name": "haproxy"}, [{"from": [pods(name="server")], "ports": ports(6379)}]),
            np("server", {"name": "server"}, [{}]),
        ],
        set(),
        {("named-flow", "Deployment ns/dex"), ("denies-nothing", "NetworkPolicy ns/server")},
    ),
    "metallb": (
        [
            deploy("controller", 7472, 9443),
            svc("webhook", 443, 9443, {"name": "controller"}),
            webhook("validating", "webhook"),
            np("controller", {"name": "controller"}, [{"ports": ports(9443, 7472)}], [{"ports": ports(6443)}]),
        ],
        set(),
        set(),
    ),
    "ingress-nginx": (
        [deploy("backend", 8080), svc("backend", 80, 8080),
         np("backend", {"name": "backend"}, [{"from": [{"podSelector": {}}], "ports": ports(8080)}], [])],
        set(),
        set(),
    ),
    "cert-manager": (
        [deploy("webhook", ("https", 10250)), svc("webhook", 443, "https"), webhook("hook", "webhook"),
         np("in", {"name": "webhook"}, [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
         np("out", {"name": "webhook"}, None, [{"ports": ports(80, 443, 6443) + DNS["ports"]}])],
        set(),
        set(),
    ),
    "longhorn": (
        [deploy("ui", 8000), svc("frontend", 80, 8000, {"name": "ui"}),
         np("ui", {"name": "ui"}, [{"from": [{"podSelector": {}}], "ports": ports(8000, 80)}])],
        set(),
        {("port-undeclared", "NetworkPolicy ns/ui")},
    ),
    "zero-to-jupyterhub": (
        [deploy("proxy", ("http", 8000)), svc("proxy-public", 80, "http", {"name": "proxy"}),
         np("proxy", {"name": "proxy"}, [{"ports": ports("http", "https")}], [{}])],
        set(),
        {("denies-nothing", "NetworkPolicy ns/proxy"), ("port-name-unknown", "NetworkPolicy ns/proxy")},
    ),
    "cockroachdb": (
        [deploy("db", ("grpc", 26257), kind="StatefulSet"), svc("db", 26257, "grpc"),
         np("db", {"name": "db"}, [{"from": [pods(client="true"), pods(name="db")], "ports": ports("grpc")}])],
        set(),
        {("peer-matches-nobody", "NetworkPolicy ns/db")},
    ),
    "rook": (
        [thing("CephCluster", "ceph", {}, "ceph.rook.io/v1"),
         np("mon", {"app": "mon"}, [{"from": [pods(app="osd")], "ports": ports(6789)}])],
        set(),
        {("policy-selects-nothing", "NetworkPolicy ns/mon"), ("peer-matches-nobody", "NetworkPolicy ns/mon")},
    ),
}  # fmt: skip


def found(objects: list[Object]) -> list[Warning]:
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "lab"}, "spec": {"dataplane": "kindnet"}}
    documents = load_text("\n---\n".join(map(json.dumps, [lab, *objects])), "set.yaml")
    assert not documents.problems
    built = build(documents)
    return kept((*built.warnings, *lint(built.cluster, documents)), documents)


@pytest.mark.parametrize("name", SETS)
def test_the_faults_of_a_set_are_found_and_no_others(name: str) -> None:
    objects, wrong, notes = SETS[name]
    warnings = found(objects)
    assert {(each.code, each.object) for each in strict(warnings)} == wrong
    assert {(each.code, each.object) for each in warnings if each.level == "note"} == notes


def test_the_page_has_a_row_for_each_set() -> None:
    lines = [line.split("|")[1:-1] for line in PAGE.read_text(encoding="utf-8").splitlines()]
    told = {
        cells[0].strip(): tuple({*re.findall(r"`([a-z]+(?:-[a-z]+)+)`", cell)} for cell in cells[2:])
        for cells in lines
        if cells and cells[0].strip() in SETS
    }
    codes = {
        name: ({code for code, _ in wrong}, {code for code, _ in notes}) for name, (_, wrong, notes) in SETS.items()
    }
    assert told == codes
