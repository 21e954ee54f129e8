"""NetworkPolicy's semantics, each rule of the specification that implementations get wrong, by the oracle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.model import Cluster, build
from netlab.oracle.denials import Denials
from netlab.oracle.explain import judged, tell
from netlab.oracle.flow import Verdict
from netlab.oracle.flows import flows
from netlab.oracle.policy import Evaluator
from netlab.oracle.predict import Predictor
from netlab.spec import Text, load_texts

Rule = dict[str, Any]
CLIENT, SERVER, OTHER, SHOP, OUTSIDE = "10.244.1.2", "10.244.2.2", "10.244.2.3", "10.244.1.3", "203.0.113.9"
NODE_1, NODE_2 = "172.18.0.2", "172.18.0.3"
APP = {"podSelector": {"matchLabels": {"app": "client"}}}


def cluster(*policies: dict[str, Any], inits: list[Rule] | None = None) -> Cluster:
    def pod(name: str, node: str, namespace: str = "default", labels: Rule | None = None, **more: Any) -> Rule:
        ports = more.pop("ports", [{"name": "http", "containerPort": 80}])
        return {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {"app": name}},
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "x", "ports": ports}], **more},
        }  # fmt: skip

    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "p"},
           "spec": {"nodes": [{"name": "node-1"}, {"name": "node-2"}],
                    "external": [{"name": "internet", "address": OUTSIDE, "ports": [443]}]}}  # fmt: skip
    # One container's port names differ; those of two containers need not, if their protocols do.
    two = [{"name": "c", "image": "x", "ports": [{"name": "http", "containerPort": 8080}]},
           {"name": "d", "image": "x", "ports": [{"name": "http", "containerPort": 81, "protocol": "UDP"}]}]  # fmt: skip
    objects = [
        lab,
        pod("client", "node-1"),
        pod("web", "node-1", "shop"),
        pod("server", "node-2"),
        pod("other", "node-2", labels={"app": "other", "empty": ""}, ports=[]),
        pod("named", "node-2", containers=two),
        pod("host", "node-2", labels={"app": "client"}, hostNetwork=True, ports=[]),
    ]
    objects += [pod("sidecar", "node-2", initContainers=inits)] if inits else []
    objects += [
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **one} if "spec" in one else
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": f"p{number}"}, "spec": one}
        for number, one in enumerate(policies)
    ]  # fmt: skip
    return build(load_texts([Text("lab.yaml", "\n---\n".join(map(json.dumps, objects)))])).cluster


def passes(src: str, dst: str, *policies: Rule, port: int = 80, protocol: str = "TCP") -> bool:
    judge = Evaluator(cluster(*policies))
    return not judge.denied_by(judge.party(src), judge.party(dst), port, protocol)


def server(**spec: Any) -> Rule:
    return {"podSelector": {"matchLabels": {"app": "server"}}, **spec}


def to_server(*peers: Rule, ports: list[Rule] | None = None) -> Rule:
    return server(ingress=[{"from": list(peers), **({"ports": ports} if ports is not None else {})}])


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({}, True, False),
        ({"policyTypes": []}, True, False),
        ({"egress": []}, True, False),
        ({"egress": [{}]}, True, False),  # its one rule allows everything, and it isolates for ingress all the same
        ({"egress": [{"ports": [{"port": 1}]}]}, True, True),
        ({"policyTypes": ["Egress"]}, False, True),
        ({"policyTypes": ["Ingress", "Egress"]}, True, True),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, False, True),
    ],
)
def test_policy_types(spec: Rule, ingress: bool, egress: bool) -> None:
    assert passes(CLIENT, SERVER, server(**spec)) != ingress
    assert passes(SERVER, CLIENT, server(**spec)) != egress


@pytest.mark.parametrize("rules", [{"ingress": []}, {"ingress": None}, {}])
def test_no_rule_allows_nothing(rules: Rule) -> None:
    assert not passes(CLIENT, SERVER, server(**rules))


@pytest.mark.parametrize("rule", [{}, {"from": []}, {"from": None}, {"ports": []}, {"from": [], "ports": None}])
def test_an_empty_rule_allows_everything_from_everywhere(rule: Rule) -> None:
    for source in (CLIENT, OUTSIDE, NODE_1, SHOP):
        assert passes(source, SERVER, server(ingress=[rule]), protocol="SCTP")


@pytest.mark.parametrize("selector", [{}, None, {"matchLabels": {}}, {"matchLabels": None}, "missing"])
def test_an_empty_pod_selector_is_the_whole_namespace_and_no_other(selector: Rule | str | None) -> None:
    spec = {"policyTypes": ["Ingress"], **({} if selector == "missing" else {"podSelector": selector})}
    assert not passes(CLIENT, SERVER, spec) and passes(CLIENT, SHOP, spec)


def test_an_empty_port_is_every_tcp_port() -> None:
    assert passes(CLIENT, SERVER, to_server(APP, ports=[{}]), port=9)
    assert not passes(CLIENT, SERVER, to_server(APP, ports=[{}]), port=9, protocol="UDP")


def test_policies_unite_and_both_directions_must_allow() -> None:
    one, two = to_server(APP, ports=[{"port": 1}]), to_server(APP, ports=[{"port": 80}])
    assert passes(CLIENT, SERVER, one, two) and not passes(CLIENT, SERVER, one)
    assert not passes(CLIENT, SERVER, two, {**APP, "policyTypes": ["Egress"]})


@pytest.mark.parametrize(
    ("peers", "client", "shop"),
    [
        ([{"podSelector": {}}], True, False),
        ([{"namespaceSelector": {}}], True, True),
        ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}], False, True),
        ([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}], False, True),
        ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
           "podSelector": {"matchLabels": {"app": "web"}}}], False, False),
        ([{"podSelector": {"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["x"]}]}}], True, False),
        ([{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["client"]}]}}], False, False),
        ([{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}], True, False),
        ([{"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}], False, False),
        ([{"podSelector": {"matchLabels": {"empty": ""}}}], False, False),
        ([{"ipBlock": {"cidr": "10.244.1.77/24", "except": ["10.244.1.3/32"]}}], True, False),
        ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.1.0/24"]}}, APP], True, False),
        ([{"ipBlock": {"cidr": "::/0"}}], False, False),
    ],
)  # fmt: skip
def test_peers(peers: list[Rule], client: bool, shop: bool) -> None:
    assert (passes(CLIENT, SERVER, to_server(*peers)), passes(SHOP, SERVER, to_server(*peers))) == (client, shop)


@pytest.mark.parametrize(
    ("peers", "outside"),
    [
        ([{"namespaceSelector": {}}], False),  # every namespace is still the cluster
        ([{"podSelector": {}}, {"namespaceSelector": {}, "podSelector": {}}], False),
        ([{"ipBlock": {"cidr": "203.0.113.0/24"}}], True),
        ([{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.8/29"]}}], False),
        # except takes from its own cidr; another item, rule or policy may still allow
        ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.0/24"]}}, {"ipBlock": {"cidr": f"{OUTSIDE}/32"}}], True),
        ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["0.0.0.0/1", "128.0.0.0/1"]}}], False),
        ([{"ipBlock": {"cidr": "::/0"}}], False),
    ],
)  # fmt: skip
def test_the_outside_is_let_in_and_out_by_blocks_alone(peers: list[Rule], outside: bool) -> None:
    assert passes(OUTSIDE, SERVER, to_server(*peers)) == outside
    assert passes(SERVER, OUTSIDE, server(policyTypes=["Egress"], egress=[{"to": peers}]), port=443) == outside


def test_except_denies_nothing_that_another_rule_or_policy_allows() -> None:
    but = {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.244.1.0/24"]}}]}
    assert not passes(CLIENT, SERVER, server(ingress=[but]))
    assert passes(CLIENT, SERVER, server(ingress=[but, {"from": [APP]}]))
    assert passes(CLIENT, SERVER, server(ingress=[but]), to_server(APP))


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize(
    "rule",
    [
        {"ports": [{"protocol": "SCTP", "port": 80}]},
        {"ports": [{"port": "nobodys-name"}]},
        {"peers": [{"podSelector": {"matchLabels": {"app": "nobody"}}}]},
        {"peers": [{"namespaceSelector": {"matchLabels": {"no": "such"}}}], "ports": [{"port": 80}]},
        {"peers": [{"ipBlock": {"cidr": "2001:db8::/32"}}]},
    ],
)
def test_a_policy_isolates_though_nothing_matches_its_rules(direction: str, rule: Rule) -> None:
    named = {"ingress": "from", "egress": "to"}[direction]
    body = {named if key == "peers" else key: value for key, value in rule.items()}
    spec = server(policyTypes=[direction.capitalize()], **{direction: [body]})
    ends = (CLIENT, SERVER) if direction == "ingress" else (SERVER, CLIENT)
    assert not passes(*ends, spec)
    assert passes(*reversed(ends), spec), "the other direction is open"


def test_within_a_rule_both_between_rules_either() -> None:
    together = server(ingress=[{"from": [APP], "ports": [{"port": 1}]}])
    apart = server(ingress=[{"from": [APP]}, {"ports": [{"port": 1}]}])
    assert [passes(CLIENT, SERVER, together), passes(SHOP, SERVER, together, port=1)] == [False, False]
    assert [passes(CLIENT, SERVER, apart), passes(SHOP, SERVER, apart, port=1)] == [True, True]
    assert passes(CLIENT, SERVER, together, port=1) and not passes(SHOP, SERVER, apart)


def test_a_number_without_a_protocol_is_tcps() -> None:
    eighty = to_server(APP, ports=[{"port": 80}])
    assert passes(CLIENT, SERVER, eighty)
    assert not passes(CLIENT, SERVER, eighty, protocol="UDP") and not passes(CLIENT, SERVER, eighty, protocol="SCTP")


@pytest.mark.parametrize("to", [{}, {"to": []}, {"to": None}, {"ports": []}])
def test_an_empty_egress_rule_is_everywhere_and_outside(to: Rule) -> None:
    spec = server(policyTypes=["Egress"], egress=[to])
    for target in (CLIENT, OUTSIDE, NODE_1, NODE_2, SHOP):
        assert passes(SERVER, target, spec, protocol="UDP")


def test_a_policy_is_about_its_own_namespace() -> None:
    spec = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    shop = {"metadata": {"name": "q", "namespace": "shop"}, "spec": spec}
    assert not passes(CLIENT, SHOP, shop) and passes(CLIENT, SERVER, shop)
    assert not passes(SHOP, SERVER, spec) and passes(CLIENT, SERVER, spec), "a lone podSelector looks there, too"


def test_both_directions_of_a_policy_hold_for_themselves() -> None:
    spec = server(policyTypes=["Egress"], ingress=[{"from": [APP]}], egress=[{"to": [APP]}])
    assert passes(SHOP, SERVER, spec), "ingress is not among its types"
    assert passes(SERVER, CLIENT, spec) and not passes(SERVER, SHOP, spec)


def test_native_sidecars_have_port_names_too() -> None:
    inits = [{"name": "s", "image": "x", "restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 15021}]},
             {"name": "i", "image": "x", "ports": [{"name": "init", "containerPort": 15022}]}]  # fmt: skip
    made = cluster({"podSelector": {}, "ingress": [{"ports": [{"port": "side"}, {"port": "init"}]}]}, inits=inits)
    judge = Evaluator(made)
    sidecar = next(str(pod.addresses[0].ip) for pod in made.pods if pod.name == "sidecar")
    assert not judge.denied_by(judge.party(CLIENT), judge.party(sidecar), 15021, "TCP")
    assert judge.denied_by(judge.party(CLIENT), judge.party(sidecar), 15022, "TCP"), "an init container has ended"


def test_a_label_that_is_empty_must_be_there() -> None:
    assert passes(OTHER, SERVER, to_server({"podSelector": {"matchLabels": {"empty": ""}}}))


def test_named_ports_are_the_destinations_by_protocol() -> None:
    http = [{"port": "http"}]
    every = {"podSelector": {}, "ingress": [{"ports": http}]}
    named = "10.244.2.4"
    assert passes(CLIENT, SERVER, every) and not passes(CLIENT, SERVER, every, port=8080)
    assert passes(CLIENT, named, every, port=8080) and not passes(CLIENT, named, every, port=80)
    assert not passes(CLIENT, named, every, port=81, protocol="UDP")
    out = {**APP, "policyTypes": ["Egress"], "egress": [{"ports": http}]}
    assert passes(CLIENT, named, out, port=8080) and not passes(CLIENT, named, out)
    assert not passes(CLIENT, OUTSIDE, out), "nothing outside has port names"
    assert not passes(CLIENT, OTHER, out), "nor a Pod that declares none"


@pytest.mark.parametrize(("port", "allowed"), [(79, False), (80, True), (90, True), (91, False)])
def test_end_port_is_inclusive(port: int, allowed: bool) -> None:
    assert passes(CLIENT, SERVER, to_server(APP, ports=[{"port": 80, "endPort": 90}]), port=port) == allowed


def test_nodes_and_pods_of_the_hosts_network() -> None:
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert passes(NODE_2, SERVER, deny), "the Pod's own node"
    assert not passes(NODE_1, SERVER, deny) and not passes(SERVER, NODE_2, deny)
    assert not passes(NODE_2, CLIENT, to_server(APP), deny), "hostNetwork Pods are not selected as peers"
    assert passes(NODE_1, NODE_2, deny), "nor as subjects"
    assert passes(NODE_1, SERVER, to_server({"ipBlock": {"cidr": f"{NODE_1}/32"}}))


def test_a_pod_reaches_itself() -> None:
    assert passes(SERVER, SERVER, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})


@pytest.mark.parametrize(("port", "outcome"), [("80", "open"), ("81", "refused")])
def test_localhost_is_the_pod_itself(port: str, outcome: str) -> None:
    made = cluster({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
    (flow,) = flows(made, sources=["server"], targets=["localhost"], ports=[port])
    verdict = Predictor(made).answer([flow])[flow]
    assert (flow.dst.name, verdict.outcome) == ("default/server", outcome)
    assert "a Pod always reaches itself" in "\n".join(tell(verdict, judged(Denials(made), flow)))


def test_icmp_matches_rules_without_ports_alone() -> None:
    assert passes(CLIENT, SERVER, to_server(APP), port=0, protocol="ICMP")
    assert not passes(CLIENT, SERVER, to_server(APP, ports=[{}]), port=0, protocol="ICMP")


def test_the_predictor_names_the_policy_and_its_line() -> None:
    made = cluster(to_server({"namespaceSelector": {"matchLabels": {"team": "shop"}}}))
    (flow,) = flows(made, sources=["shop/web"], targets=["server"])
    verdict = Predictor(made).answer([flow])[flow]
    assert (verdict.outcome, verdict.because[0].policy, verdict.because[0].rule) == ("denied", "default/p0", "ingress")
    assert verdict.because[0].mark is not None
    told = "\n".join(tell(Verdict(flow, verdict.outcome), judged(Denials(made), flow)))
    assert "peer namespace shop has no label team" in told
