"""The Admin and Baseline tiers: what is read, what they decide, in which order, and what explain says of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from netlab.lint import lint
from netlab.model import Cluster, build
from netlab.oracle.explain import judged, tell
from netlab.oracle.explained import document
from netlab.oracle.flow import Flow, Outcome
from netlab.oracle.flows import flows
from netlab.oracle.policy import Evaluator
from netlab.oracle.predict import Predictor
from netlab.plain import dump
from netlab.plan import desired
from netlab.spec import Text, load_texts

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))

import livelab
import tiercases

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: t}
spec:
  dataplane: calico-bgp
  nodes: [{name: node-1, labels: {zone: a}}, {name: node-2}]
  external: [{name: internet, address: 203.0.113.9, ports: [443]}]
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: shop}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
 spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{name: http, containerPort: 80}, {containerPort: 81}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}},
 spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{name: http, containerPort: 81}, {containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, labels: {app: client}}, spec: {nodeName: node-1, containers: [{name: c, image: x}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: host, namespace: shop, labels: {app: host}},
 spec: {nodeName: node-2, hostNetwork: true, containers: [{name: c, image: x, ports: [{containerPort: 9000}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: front, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 8000, targetPort: 80}]}}
"""
EVERYBODY: dict[str, Any] = {"namespaces": {}}
SHOP = {"namespaces": {"matchLabels": {"team": "shop"}}}


def labelled(app: str) -> dict[str, Any]:
    return {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": app}}}}


def admin(name: str, priority: int, subject: dict[str, Any] = SHOP, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy", "metadata": {"name": name},
            "spec": {"priority": priority, "subject": subject, **spec}}  # fmt: skip


def cluster_policy(name: str, priority: int, tier: str = "Admin", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
            "metadata": {"name": name}, "spec": {"tier": tier, "priority": priority, "subject": SHOP, **spec}}  # fmt: skip


def baseline(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "BaselineAdminNetworkPolicy",
            "metadata": {"name": "default"}, "spec": {"subject": SHOP, **spec}}  # fmt: skip


def network_policy(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "own", "namespace": "shop"}, "spec": {"podSelector": {}, **spec}}  # fmt: skip


def made(*objects: dict[str, Any]) -> Cluster:
    found = load_texts([Text("lab.yaml", LAB), *(Text(f"p{n}.json", json.dumps(one)) for n, one in enumerate(objects))])
    assert not found.problems
    cluster = build(found).cluster
    desired(cluster)  # becomes rules, too
    return cluster


def flow_of(cluster: Cluster, client: str, target: str, port: str) -> Flow:
    asked = flows(cluster, sources=[client], targets=[target], ports=[port], strangers=True)
    return next(flow for flow in asked if f"{flow.port}/{flow.protocol}" == port)


def outcome(cluster: Cluster, client: str, target: str, port: str = "80/TCP") -> str:
    (verdict,) = Predictor(cluster).answer([flow_of(cluster, client, target, port)]).values()
    return "denied" if verdict.outcome is Outcome.DENIED else "passes"


def explained(cluster: Cluster, client: str, target: str, port: str = "80/TCP") -> list[str]:
    flow = flow_of(cluster, client, target, port)
    predictor = Predictor(cluster)
    return list(tell(predictor.answer([flow])[flow], judged(predictor.denials, flow)))


def rule(action: str, *peers: dict[str, Any], to: bool = False, **more: Any) -> dict[str, Any]:
    return {"action": action, "to" if to else "from": list(peers), **more}


DENY, ALLOW, PASS = rule("Deny", EVERYBODY), rule("Allow", EVERYBODY), rule("Pass", EVERYBODY)
ACCEPT = rule("Accept", EVERYBODY)
ISOLATED = network_policy(ingress=[])
OPENED = network_policy(ingress=[{}])


@pytest.mark.parametrize(
    ("expected", "objects"),
    [
        ("denied", [admin("a", 5, ingress=[DENY])]),
        ("passes", [admin("a", 5, ingress=[ALLOW, DENY])]),
        ("denied", [admin("a", 5, ingress=[DENY, ALLOW])]),
        ("passes", [admin("late", 9, ingress=[DENY]), admin("soon", 0, ingress=[ALLOW])]),
        ("denied", [admin("a", 1000, ingress=[ALLOW]), cluster_policy("b", 999, ingress=[DENY])]),
        ("passes", [cluster_policy("b", 3, ingress=[ACCEPT]), admin("a", 4, ingress=[DENY])]),
        ("denied", [admin("a", 5, ingress=[DENY]), OPENED]),
        ("passes", [admin("a", 5, ingress=[ALLOW]), ISOLATED]),
        ("denied", [admin("a", 5, ingress=[PASS, ALLOW]), admin("b", 6, ingress=[ALLOW]), ISOLATED]),
        ("passes", [admin("a", 5, ingress=[PASS]), admin("b", 6, ingress=[DENY]), OPENED]),
        ("passes", [baseline(ingress=[DENY]), OPENED]),
        ("denied", [baseline(ingress=[ALLOW]), ISOLATED]),
        ("denied", [baseline(ingress=[DENY])]),
        ("denied", [admin("a", 5, ingress=[PASS]), baseline(ingress=[DENY])]),
        ("passes", [cluster_policy("b", 1, "Baseline", ingress=[PASS, DENY]), baseline(ingress=[DENY])]),
        ("passes", [cluster_policy("b", 1, "Baseline", ingress=[ACCEPT]), baseline(ingress=[DENY])]),
        ("denied", [network_policy(policyTypes=["Egress"], egress=[{}]), baseline(ingress=[DENY])]),
        ("passes", [admin("a", 5, ingress=[])]),
        ("passes", [admin("a", 5, egress=[rule("Deny", EVERYBODY, to=True)])]),
        ("passes", [admin("a", 5, {"namespaces": {"matchLabels": {"team": "other"}}}, ingress=[DENY])]),
        ("denied", [admin("a", 5, EVERYBODY, egress=[rule("Deny", SHOP, to=True)])]),
        ("passes", [admin("a", 5, labelled("db"), ingress=[DENY])]),
        ("denied", [admin("a", 5, labelled("web"), ingress=[DENY])]),
    ],
)
def test_the_tiers_are_asked_in_their_order(expected: str, objects: list[dict[str, Any]]) -> None:
    assert outcome(made(*objects), "client", "shop/web") == expected


def ports(*items: dict[str, Any]) -> dict[str, Any]:
    return admin("a", 5, ingress=[rule("Deny", EVERYBODY, ports=list(items))])


def protocols(*items: dict[str, Any]) -> dict[str, Any]:
    return cluster_policy("a", 5, ingress=[rule("Deny", EVERYBODY, protocols=list(items))])


@pytest.mark.parametrize(
    ("policy", "denied"),
    [
        (ports({"portNumber": {"port": 80}}), {"web 80/TCP", "db 80/TCP"}),
        (ports({"portNumber": {"port": 80, "protocol": "UDP"}}), {"web 80/UDP", "db 80/UDP"}),
        (ports({"portRange": {"start": 81, "end": 90}}), {"web 81/TCP", "db 81/TCP"}),
        (ports({"namedPort": "http"}), {"web 80/TCP", "db 81/TCP"}),
        (ports({"namedPort": "nobody"}), set()),
        (protocols({"tcp": {}}), {"web 80/TCP", "web 81/TCP", "db 80/TCP", "db 81/TCP"}),
        (protocols({"udp": {"destinationPort": {"range": {"start": 1, "end": 80}}}}), {"web 80/UDP", "db 80/UDP"}),
        (protocols({"destinationNamedPort": "http"}, {"udp": {}}),
         {"web 80/TCP", "db 81/TCP", "web 80/UDP", "web 81/UDP", "db 80/UDP", "db 81/UDP"}),
    ],
)  # fmt: skip
def test_ports_are_those_of_the_destination(policy: dict[str, Any], denied: set[str]) -> None:
    cluster, found = made(policy), set()
    evaluator = Evaluator(cluster)
    address = {pod.name: str(pod.addresses[0].ip) for pod in cluster.pods}
    for name in ("web", "db"):
        for protocol in ("TCP", "UDP"):
            for port in (80, 81):
                ends = evaluator.party(address["client"]), evaluator.party(address[name])
                if evaluator.denied_by(*ends, port, protocol):
                    found.add(f"{name} {port}/{protocol}")
    assert found == denied


@pytest.mark.parametrize(
    ("peer", "denied"),
    [
        ({"nodes": {}}, {"172.18.0.2", "172.18.0.3", "shop/host"}),
        ({"nodes": {"matchLabels": {"zone": "a"}}}, {"172.18.0.2"}),
        ({"networks": ["0.0.0.0/0"]}, {"client", "shop/db", "172.18.0.2", "172.18.0.3", "shop/host", "internet"}),
        ({"networks": ["203.0.113.0/24", "::/0"]}, {"internet"}),
        (SHOP, {"shop/db"}),  # no Pod of its node's network
        (labelled("host"), set()),
    ],
)
def test_egress_peers(peer: dict[str, Any], denied: set[str]) -> None:
    cluster = made(admin("a", 5, labelled("web"), egress=[rule("Deny", peer, to=True)]))
    everybody = ("client", "shop/db", "172.18.0.2", "172.18.0.3", "shop/host", "internet")
    ports = {"shop/host": "9000/TCP", "internet": "443/TCP"}
    seen = {to for to in everybody if outcome(cluster, "shop/web", to, ports.get(to, "80/TCP")) == "denied"}
    assert seen == denied


def test_domain_names_match_nothing_and_never_everything() -> None:
    allow = rule("Accept", {"domainNames": ["*.example.com"]}, to=True)
    deny = rule("Deny", {"networks": ["0.0.0.0/0"]}, to=True)
    cluster = made(cluster_policy("a", 5, egress=[allow, deny]))
    assert outcome(cluster, "shop/web", "internet", "443/TCP") == "denied"
    assert "domain names match nothing here (*.example.com)" in "\n".join(
        explained(cluster, "shop/web", "internet", "443/TCP")
    )


def test_a_pod_reaches_itself_directly_and_its_kubelet_reaches_it() -> None:
    cluster = made(admin("a", 5, ingress=[DENY], egress=[rule("Deny", {"networks": ["0.0.0.0/0"]}, to=True)]))
    assert outcome(cluster, "shop/web", "shop/web") == "passes"
    assert outcome(cluster, "node/node-1", "shop/web") == "passes"
    assert outcome(cluster, "shop/web", "svc/front.shop", "8000/TCP") == "denied"  # the packet leaves the Pod


def test_explain_names_the_tier_the_rule_and_what_differs() -> None:
    near = rule("Allow", labelled("clients"), name="let-clients")
    cluster = made(
        admin("guard", 7, ingress=[near, rule("Pass", labelled("client"), name="apps")]),
        cluster_policy("floor", 3, "Baseline", ingress=[rule("Deny", EVERYBODY, name="closed")]),
    )
    said = explained(cluster, "client", "shop/web")
    assert said[0].endswith("denied")
    assert said[2] == (
        '  ingress: denied by ClusterNetworkPolicy floor ingress[0] "closed" (p1.json:1), priority 3 of the Baseline tier'
    )
    assert said[3] == (
        '    AdminNetworkPolicy guard ingress[1] "apps" (p0.json:1) passes it on, past the rest of the Admin tier'
    )
    assert said[4] == (
        '    AdminNetworkPolicy guard ingress[0] "let-clients" (p0.json:1), Allow, does not match: '
        "peer default/client has app=client, not app=clients"
    )
    flow = flow_of(cluster, "client", "shop/web", "80/TCP")
    predictor = Predictor(cluster)
    verdict = predictor.answer([flow])[flow]
    body = dump(document(verdict, judged(predictor.denials, flow)))
    assert body["because"] == [
        {"says": "ClusterNetworkPolicy floor ingress[0] denies this", "file": "p1.json", "line": 1,
         "policy": "ClusterNetworkPolicy floor", "rule": "ingress[0]"}
    ]  # fmt: skip
    assert body["ingress"]["tier"] == {
        "policy": "ClusterNetworkPolicy floor", "tier": "Baseline", "priority": 3, "rule": "ingress[0]",
        "name": "closed", "action": "Deny", "file": "p1.json", "line": 1,
    }  # fmt: skip
    assert body["ingress"]["passed_by"]["rule"] == "ingress[1]"
    assert "tier" not in body["egress"], "new keys only where a tier decides"


@pytest.mark.parametrize(
    ("objects", "line"),
    [
        ([admin("a", 5, ingress=[ALLOW]), ISOLATED],
         ("  ingress: allowed by AdminNetworkPolicy a ingress[0] (p0.json:1), priority 5 of the Admin tier; "
         "1 policy isolates shop/web, not asked")),
        ([admin("a", 5, ingress=[rule("Deny", labelled("db"))])],
         "  ingress: passes, no rule of a tier decides, and no policy isolates shop/web for ingress"),
        ([baseline(ingress=[ALLOW])],
         "  ingress: allowed by BaselineAdminNetworkPolicy default ingress[0] (p0.json:1), the Baseline tier"),
        ([cluster_policy("b", 1, "Baseline", ingress=[PASS])],
         ("  ingress: passes, ClusterNetworkPolicy b ingress[0] (p0.json:1) leaves it to no other tier, "
         "priority 1 of the Baseline tier")),
        ([admin("a", 5, {"namespaces": {"matchLabels": {"team": "shops"}}}, ingress=[DENY])],
         ("  ingress: passes, no policy isolates shop/web for ingress; AdminNetworkPolicy a selects no Pod: "
         "namespace shop has team=shop, not team=shops")),
    ],
)  # fmt: skip
def test_explain_says_what_let_it_pass(objects: list[dict[str, Any]], line: str) -> None:
    assert line in explained(made(*objects), "client", "shop/web")


@pytest.mark.parametrize("corpus", tiercases.CORPORA)
def test_the_oracle_agrees_with_a_small_evaluator_on_random_tiers(corpus: str) -> None:
    wrong, asked, denied = [], 0, 0
    for case in tiercases.cases(corpus, 12):
        for state in case.states:
            found = load_texts([Text("lab.json", livelab.spec("x", "calico-bgp", case, state))])
            assert not found.problems
            cluster = build(found).cluster
            oracle, address = Evaluator(cluster), {str(pod): str(pod.addresses[0].ip) for pod in cluster.pods}
            for question in state.questions:
                ends = (oracle.party(address.get(name, name)) for name in (question.src, question.dst))
                asked, denied = asked + 1, denied + (not question.allow)
                if bool(oracle.denied_by(*ends, question.port, question.protocol)) == question.allow:
                    wrong.append(f"{state.name}: {question}")
    assert not wrong
    assert asked > 1500 and denied > asked / 10, "the cases decide something"


def test_pods_without_tiers_have_the_rules_that_they_had() -> None:
    def chains(*objects: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        wanted = desired(made(*objects))
        return {
            f"{obj.netns} {obj.chain}": obj.rules
            for obj in wanted.values()
            if type(obj).__name__ == "NftChain" and "netlab-policy" in obj.place
        }

    plain = {**ISOLATED, "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": []}}
    before, after = chains(plain), chains(plain, admin("a", 5, labelled("web"), ingress=[DENY] * 40))
    assert {name: after[name] for name in before} == before, "another Pod's tiers are in no chain that this one meets"
    assert len(after["t-node-1 admin-in-anp/a"]) == 40


def test_pods_that_the_same_policies_judge_share_their_rules() -> None:
    cluster = made(admin("a", 5, ingress=[DENY]), admin("b", 6, labelled("web"), ingress=[ALLOW]))
    chains = [obj.chain for obj in desired(cluster).values() if type(obj).__name__ == "NftChain"]
    assert "admin-in-anp/a" in chains and "admin-in-anp/a/anp/b" in chains


@pytest.mark.parametrize(
    ("objects", "warning"),
    [
        ([admin("a", 5, ingress=[DENY]), admin("b", 5, labelled("web"), ingress=[ALLOW])],
         "tier-order: AdminNetworkPolicy b: AdminNetworkPolicy a has the same priority, 5, in the Admin tier"),
        ([cluster_policy("a", 5, egress=[rule("Accept", {"domainNames": ["example.com"]}, to=True)])],
         "domain-names: ClusterNetworkPolicy a egress[0]: domain names are not modelled"),
        ([admin("a", 5, labelled("webb"), ingress=[DENY])],
         "selector-typo: AdminNetworkPolicy a: selects no Pod"),
        ([admin("a", 5, ingress=[rule("Deny", labelled("nobody"))])],
         "peer-matches-nobody: AdminNetworkPolicy a ingress[0]: no Pod of these namespaces matches app=nobody"),
        ([admin("a", 5, ingress=[rule("Deny", EVERYBODY, ports=[{"namedPort": "htp"}])])],
         'port-name-unknown: AdminNetworkPolicy a ingress[0]: no Pod in question has a port htp (did you mean "http"?)'),
    ],
)  # fmt: skip
def test_what_means_nothing_is_warned_of(objects: list[dict[str, Any]], warning: str) -> None:
    found = load_texts([Text("lab.yaml", LAB), *(Text(f"p{n}.json", json.dumps(one)) for n, one in enumerate(objects))])
    said = [f"{one.code}: {one.message}" for one in lint(build(found).cluster, found)]
    assert [line for line in said if line.startswith(warning)], said


def test_policies_of_one_priority_that_judge_other_pods_are_not_warned_of() -> None:
    objects = [admin("a", 5, labelled("db"), ingress=[DENY]), admin("b", 5, labelled("web"), ingress=[ALLOW])]
    found = load_texts([Text("lab.yaml", LAB), *(Text(f"p{n}.json", json.dumps(one)) for n, one in enumerate(objects))])
    assert "tier-order" not in {one.code for one in lint(build(found).cluster, found)}


def test_a_policy_that_opens_what_the_baseline_tier_closes_is_not_without_effect() -> None:
    opened = network_policy(ingress=[{}])
    for objects, told in (([opened], True), ([opened, baseline(ingress=[DENY])], False)):
        texts = [Text(f"p{n}.json", json.dumps(one)) for n, one in enumerate(objects)]
        found = load_texts([Text("lab.yaml", LAB), *texts])
        assert ("denies-nothing" in {one.code for one in lint(build(found).cluster, found)}) == told


def test_of_many_rules_of_tiers_the_nearest_are_shown() -> None:
    many = [rule("Deny", labelled(f"other-{number}"), ports=[{"portNumber": {"port": 9}}]) for number in range(40)]
    said = explained(
        made(admin("a", 5, ingress=[*many[:30], rule("Deny", labelled("clients")), *many[30:]])), "client", "shop/web"
    )
    lines = [line for line in said if " does not match: " in line]
    assert len(lines) == 10 and any("ingress[30]" in line for line in lines)
    assert "    and 31 more rules of tiers do not match" in said


def test_the_name_of_a_rule_stays_on_its_line() -> None:
    said = explained(made(admin("a", 5, ingress=[rule("Deny", EVERYBODY, name="one\n  two")])), "client", "shop/web")
    assert (
        '  ingress: denied by AdminNetworkPolicy a ingress[0] "one two" (p0.json:1), priority 5 of the Admin tier'
        in said
    )
