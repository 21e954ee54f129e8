"""The zero value of a field that is no pointer in the API's Go types means that the field is absent."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from netlab.spec import load_text
from netlab.spec.schema import schemas


def body(kind: str, spec: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    text = yaml.safe_dump({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, **spec})
    found = load_text(text)
    assert not found.problems, found.problems
    return found.objects[0].body


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": "x", **fields}]}}


def test_what_go_clients_write_into_every_pod_is_absent() -> None:
    zeros = {"command": [], "args": [], "workingDir": "", "ports": [{"containerPort": 80, "hostPort": 0, "hostIP": ""}]}
    assert body("Pod", container(**zeros, env=[{"name": "A", "value": ""}])) == body(
        "Pod", container(ports=[{"containerPort": 80}], env=[{"name": "A"}])
    )


@pytest.mark.parametrize("zero", [0, ""])
def test_target_port_zero_is_the_port(zero: object) -> None:
    """The API server: SetDefaults_Service."""
    port = body("Service", {"spec": {"ports": [{"port": 80, "targetPort": zero, "nodePort": 0}]}})["spec"]["ports"][0]
    assert port == {"port": 80}


def test_a_probe_of_zeros_has_the_defaults() -> None:
    zeros = dict.fromkeys(
        ("timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold", "initialDelaySeconds"), 0
    )
    probed = body("Pod", container(livenessProbe={"tcpSocket": {"port": 80, "host": ""}, **zeros}))
    assert probed == body("Pod", container(livenessProbe={"tcpSocket": {"port": 80}}))


def test_pointers_keep_their_zero() -> None:
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}}
    spec["template"] = {"metadata": {"labels": {"a": "b"}}, **container()}
    assert body("Deployment", {"spec": spec}, "apps/v1")["spec"]["replicas"] == 0
    assert body("Pod", {"spec": {**container()["spec"], "terminationGracePeriodSeconds": 0}})["spec"][
        "terminationGracePeriodSeconds"
    ] == 0  # fmt: skip
    spec["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert body("Deployment", {"spec": spec}, "apps/v1")["spec"]["strategy"] == spec["strategy"]


def test_a_policys_port_zero_is_wrong_and_not_every_port() -> None:
    """The API server refuses it; taken for absent, the rule would let all ports in."""
    for field, value in (("port", "0"), ("port", '""'), ("protocol", '""')):
        text = f"{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: a}}, spec: {{podSelector: {{}}, ingress: [{{ports: [{{{field}: {value}}}]}}]}}}}"
        (problem,) = load_text(text).problems
        assert problem.path == f"spec.ingress[0].ports[0].{field}"


def test_an_empty_policy_types_is_the_default_and_an_empty_selector_is_one() -> None:
    policy = body("NetworkPolicy", {"spec": {"podSelector": {}, "policyTypes": []}}, "networking.k8s.io/v1")
    assert policy["spec"] == {"podSelector": {}}


def test_a_zero_of_another_type_is_wrong() -> None:
    for wrong in ('""', "[]", "{}", "false"):
        text = f"{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{containers: [{{name: c, ports: [{{containerPort: 80, hostPort: {wrong}}}]}}]}}}}"
        assert "hostPort" in str(load_text(text).problems)


def test_required_fields_and_pointers_are_never_absent_by_their_value() -> None:
    omitted = schemas().omitted
    assert "containerPort" not in omitted["ContainerPort"]
    assert "endPort" not in omitted["NetworkPolicyPort"]
    assert {"name", "port"}.isdisjoint(omitted["EndpointPort"])
    assert len(omitted) > 200
