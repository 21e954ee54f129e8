"""The ports that a Pod answers on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.errors import BadInput
from netlab.model import build
from netlab.spec import Text, load_texts


def served(*containers: list[dict[str, Any]]) -> set[tuple[int, str]]:
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": [{"name": "n"}]}}
    listed = [{"name": f"c{at}", "image": "x", "ports": ports} for at, ports in enumerate(containers)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}}
    listed[0]["livenessProbe"] = {"tcpSocket": {"port": 81}}
    ports = [{"port": 82, "name": "a"}, {"port": 53, "protocol": "UDP", "name": "b"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web"}}
    documents = [
        lab,
        pod | {"spec": {"containers": listed}},
        service | {"spec": {"selector": {"app": "web"}, "ports": ports}},
        policy | {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 83}]}]}},
    ]
    cluster = build(load_texts([Text("lab.yaml", "\n---\n".join(map(json.dumps, documents)))])).cluster
    return {(port.port, port.protocol) for port in cluster.own_pods[0].ports}


def test_a_pod_that_declares_no_port_answers_where_others_name_it() -> None:
    assert served([]) == {(81, "TCP"), (82, "TCP"), (83, "TCP"), (53, "UDP")}


def test_a_port_that_any_container_declares_closes_the_others_of_its_protocol() -> None:
    assert served([], [{"containerPort": 80}]) == {(80, "TCP"), (53, "UDP")}
    assert served([{"containerPort": 54, "protocol": "UDP"}]) == {(81, "TCP"), (82, "TCP"), (83, "TCP"), (54, "UDP")}


def test_a_host_outside_cannot_be_in_the_pod_cidr_beside_the_parts_of_nodes() -> None:
    outside = [{"name": "far", "address": "10.244.200.9"}]
    spec = {"nodes": [{"name": "n"}], "external": outside}
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": spec}
    with pytest.raises(BadInput, match=r"lab.yaml:1.*10.244.200.9 is inside the cluster's own 10.244.0.0/16"):
        build(load_texts([Text("lab.yaml", json.dumps(lab))]))
