"""null in a NetworkPolicy, a Service or an EndpointSlice is what the API server makes of it: the field is absent."""

from __future__ import annotations

import pytest

from netlab.errors import BadInput
from netlab.model import Cluster, build
from netlab.model.cluster.services import Service
from netlab.oracle.policy import EGRESS, INGRESS, Evaluator
from netlab.spec import Text, load_texts

LAB = """\
apiVersion: netlab/v1
kind: Lab
metadata: {name: n}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
"""
CLIENT, WEB = "10.244.1.2", "10.244.2.2"
SLICE = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n"


def made(text: str) -> Cluster:
    return build(load_texts([Text("lab.yaml", LAB + text)])).cluster


def web(text: str) -> Service:
    return next(one for one in made(text).services if one.name == "web")


def policy(spec: str) -> str:
    return f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"


def service(spec: str) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {spec}\n"


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ("null", False, True),
        ("{}", False, True),
        ("{podSelector: null}", False, True),
        ("{podSelector: {}, ingress: null, egress: null}", False, True),
        ("{podSelector: {}, ingress: []}", False, True),
        ("{podSelector: {}, ingress: [null]}", True, True),
        ("{podSelector: {}, ingress: [{}]}", True, True),
        ("{podSelector: {}, ingress: [{from: null, ports: null}]}", True, True),
        ("{podSelector: {}, ingress: [{from: []}]}", True, True),
        ("{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: []}]}", True, True),
        ("{podSelector: null, policyTypes: [Egress], egress: null}", True, False),
        ("{podSelector: null, policyTypes: null, egress: [{to: null}]}", False, True),
        ("{podSelector: {matchLabels: null, matchExpressions: null}}", False, True),
    ],
)
def test_a_policy_with_nulls_isolates_as_in_a_cluster(spec: str, ingress: bool, egress: bool) -> None:
    """Without policyTypes a policy is about ingress, and about egress too where it has rules for that."""
    judge = Evaluator(made(policy(spec)))
    client, web = judge.party(CLIENT), judge.party(WEB)
    assert judge.passes(INGRESS, web, client, 80, "TCP") is ingress
    assert judge.passes(EGRESS, client, web, 80, "TCP") is egress


@pytest.mark.parametrize("peer", ["{}", "null", "{podSelector: null}", "{ipBlock: null, namespaceSelector: null}"])
def test_a_peer_of_nulls_is_refused_as_in_a_cluster(peer: str) -> None:
    with pytest.raises(BadInput, match=r"ingress\[0\].from\[0\]: a peer must have"):
        made(policy(f"{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}"))


@pytest.mark.parametrize("endpoints", ["endpoints: null\nports: []\n", "endpoints: []\nports: null\n", "ports: null\n"])
def test_a_slice_without_endpoints_is_a_service_without_backends(endpoints: str) -> None:
    found = web(service("{ports: [{port: 80}], selector: null}") + "---\n" + SLICE + endpoints)
    assert found.backends == ()


def test_a_slice_without_ports_serves_none() -> None:
    text = SLICE + f"endpoints: [{{addresses: [{WEB}]}}]\nports: null\n"
    found = web(service("{ports: [{port: 80}], selector: null}") + "---\n" + text)
    assert not any(any(one.ports) for one in found.backends)


def test_a_headless_service_needs_no_ports_and_another_does() -> None:
    found = web(service("{clusterIP: None, ports: null, selector: {app: web}}"))
    assert found.ports == ()
    with pytest.raises(BadInput, match=r"spec\.ports"):
        made(service("{ports: null, selector: {app: web}}"))
