"""Which rules the expectations hold, on a lab that is small enough to know the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netlab.model import Cluster, build
from netlab.model.cluster.policies import INGRESS, Rule
from netlab.oracle.compare import meets
from netlab.oracle.coverage import Held, coverage, document, lines
from netlab.oracle.expect import parse
from netlab.oracle.predict import Predictor
from netlab.oracle.resolve import expected
from netlab.spec import load_text

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: shop}
spec: {dataplane: kindnet, nodes: [{name: node-1}, {name: node-2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 5432}, {containerPort: 9187}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other, labels: {app: other}}
spec: {nodeName: node-2, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{port: 1, targetPort: 5432}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 5432}]
  - from: [{podSelector: {matchLabels: {app: prometheus}}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-out}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: db}}}]
"""


def held(flows: str, default: str = "", lab: str = LAB) -> dict[str, tuple[bool, bool | None]]:
    return {f"{each.policy.name} {each.rule or each.direction}": each[3:] for each in judged(flows, default, lab)}


def judged(flows: str, default: str = "", lab: str = LAB) -> tuple[Held, ...]:
    documents = load_text(lab, "lab.yaml")
    assert not documents.problems
    cluster = build(documents).cluster
    text = f"flows: [{flows}]\n" + (f"default: {default}\n" if default else "")
    return coverage(cluster, expected(parse(text), cluster))


WEB = "{from: web, to: db, port: 5432, expect: allow}"
OTHER = "{from: other, to: db, port: 5432, expect: deny}"
NOTHING = {"db ingress": (False, None), "db ingress[0]": (False, False), "db ingress[1]": (False, False),
           "web-out egress": (False, None), "web-out egress[0]": (False, False)}  # fmt: skip


def test_without_expectations_no_rule_is_held() -> None:
    assert held("") == NOTHING


@pytest.mark.parametrize("web", [WEB, "{from: web, to: svc/db, expect: allow}", WEB.replace("allow", "open")])
def test_an_allowed_flow_holds_the_rules_that_allow_it_and_the_order_of_both_sides(web: str) -> None:
    rules = {"db ingress[0]": (True, True), "web-out egress[0]": (True, True)}
    assert held(web) == NOTHING | rules


@pytest.mark.parametrize("other", [OTHER, OTHER.replace("deny", "timeout"), "{from: other, to: svc/db, expect: deny}"])
def test_a_denied_flow_holds_the_isolation_and_the_inversion_of_rules(other: str) -> None:
    rules = {"db ingress": (True, None), "db ingress[0]": (False, True), "db ingress[1]": (False, True)}
    assert held(other) == NOTHING | rules


def test_with_both_what_stays_unheld_is_the_rule_for_nobody_and_the_egress_to_others() -> None:
    found = held(f"{WEB}, {OTHER}")
    assert found["db ingress[1]"] == (False, True) and found["web-out egress"] == (False, None)
    assert found["db ingress"] == (True, None) and found["db ingress[0]"] == (True, True)


def test_default_deny_counts_as_expectations() -> None:
    assert held(WEB, "deny")["web-out egress"] == (False, None), (
        "the only other served port that web may want is closed"
    )
    assert held(WEB, "deny")["db ingress"] == (True, None)


def test_a_rule_that_another_rule_repeats_is_not_held() -> None:
    twice = LAB.replace("  - from: [{podSelector: {matchLabels: {app: prometheus}}}]", "  - from: [{podSelector: {}}]")
    assert held(WEB, lab=twice)["db ingress[0]"] == (False, False)
    assert held(WEB, lab=twice)["db ingress[1]"] == (False, False), "each of the two is enough"


def test_isolation_by_two_policies_is_held_by_a_denied_flow() -> None:
    deny = (
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {}}\n"
    )
    found = held(OTHER, lab=LAB + deny)
    assert found["deny ingress"] == found["db ingress"] == (True, None)


def test_an_expectation_that_fails_already_holds_nothing() -> None:
    assert held(OTHER.replace("deny", "allow")) == NOTHING


def test_the_lines_and_the_document_name_the_place_of_each_rule() -> None:
    found = judged(f"{WEB}, {OTHER}")
    assert list(lines(found)) == [
        "lab.yaml:35:5: NetworkPolicy default/db ingress[1]: no expectation would notice its removal",
        "lab.yaml:39:18: NetworkPolicy default/web-out isolates for egress: no expectation would notice if it allowed everything",
        "coverage: the expectations hold 3 of 5 rules of policies",
    ]
    shown = document(found)
    assert shown.held == 3 and len(shown.rules) == 5
    assert (shown.rules[2].rule, shown.rules[2].line, shown.rules[2].removal) == (1, 35, False)


TIERS = """
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: admin}
spec:
  priority: 1
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}}
  ingress:
  - {action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: other}}}}]}
  - {action: Pass, from: [{namespaces: {}}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec:
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: other}}}}
  egress:
  - {action: Deny, to: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}]}
"""


def test_rules_of_tiers_are_tried_by_their_order_and_action() -> None:
    found = held(f"{WEB}, {OTHER}, {{from: other, to: web, expect: deny}}", lab=LAB + TIERS)
    assert found["admin ingress[0]"] == (False, True), "without it, the NetworkPolicy denies the same flow"
    assert found["admin ingress[1]"] == (False, True), "no match leaves it to the NetworkPolicies as Pass does"
    assert found["default egress[0]"] == (True, True), "nothing else denies it"
    assert found["db ingress"] == (False, None), "the Admin tier denies the flow first"
    assert found["db ingress[0]"] == (True, True)


@pytest.mark.parametrize("default", ["", "deny", "allow"])
@pytest.mark.parametrize("lab", [LAB, LAB + TIERS], ids=["v1", "tiers"])
@pytest.mark.parametrize("flows", [WEB, OTHER, f"{WEB}, {OTHER}", "{from: other, to: svc/db, expect: deny}"])
def test_a_removal_that_is_noticed_is_what_check_would_notice(flows: str, lab: str, default: str) -> None:
    """Each removal is made, and all predictions anew: the long way to the same answer."""
    cluster = build(load_text(lab, "lab.yaml")).cluster
    wanted = expected(parse(f"flows: [{flows}]\n" + (f"default: {default}\n" if default else "")), cluster)

    def met(cluster: Cluster) -> list[bool]:
        answers = Predictor(cluster).answer(wanted)
        return [meets(wanted[flow].expect, verdict, verdict) for flow, verdict in answers.items()]

    before = met(cluster)
    for each in coverage(cluster, wanted):
        changed = replace(
            cluster,
            network_policies=tuple(_less(policy, each) for policy in cluster.network_policies),
            tiers=tuple(_less(policy, each) for policy in cluster.tiers),
        )
        failed = any(was and not now for was, now in zip(before, met(changed), strict=True))
        assert failed is each.removal, each


def _less(policy: Any, held: Held) -> Any:
    if policy is not held.policy:
        return policy
    rules = policy.rules(held.direction) or ()
    everything = Rule(held.direction, len(rules))
    left = (*rules, everything) if held.rule is None else tuple(rule for rule in rules if rule is not held.rule)
    return replace(policy, ingress=left) if held.direction == INGRESS else replace(policy, egress=left)
