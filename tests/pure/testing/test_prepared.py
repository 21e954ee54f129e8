"""What a test of manifests prepares: stand-ins, lookups, and predictions of Services with many backends."""

from __future__ import annotations

import pytest

from netlab.errors import BadInput
from netlab.oracle import service
from netlab.oracle.predict import Predictor
from netlab.spec import Text
from netlab.testing.prepared import Options, Prepared, Source, prepare
from netlab.testing.result import Result, judge
from netlab.testing.standins import role
from netlab.testrun.sets import predicted

LAB = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: own}\nspec: {dataplane: kindnet}\n---\n"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: x, ports: [{name: sip, containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
  egress: EGRESS
"""
CLOSED = WEB.replace("REPLICAS", "1").replace("EGRESS", "[]")
OPEN = WEB.replace("REPLICAS", "1").replace("EGRESS", "[{}]")


def prepared(text: str, **options: bool) -> Prepared:
    return prepare(Source("", (Text("set.yaml", text),)), Options(**options))


def judged(text: str, expect: str) -> Result:
    measured = predicted(Source("", (Text("set.yaml", text),), expect, "expect.yaml"), Options(), False)
    return judge(measured.prepared, measured.observed, 0.0, looked=measured.looked)


def test_a_set_with_a_lab_has_no_stand_ins_and_says_so() -> None:
    own = prepared(LAB + OPEN)
    assert not [pod for pod in own.cluster.own_pods if role(pod)]
    assert "no stand-ins" in " ".join(own.notes) and "--stand-ins" in " ".join(own.notes)
    added = prepared(LAB + OPEN, stand_ins=True)
    assert {role(pod) for pod in added.cluster.own_pods} == {"", "peer", "stranger"} and not added.notes
    assert not prepared(LAB + OPEN, stand_ins=False).notes and not prepared(OPEN).notes


@pytest.mark.parametrize(
    ("manifests", "name", "expect", "says"),
    [
        (OPEN, "web.default", "allow", ""),
        (OPEN, "web.default", "deny", "expected deny, got open"),
        (OPEN, "wbe.default", "allow", "expected allow, got refused: the name does not exist"),
        (OPEN, "wbe.default", "deny", ""),
        (CLOSED, "web.default", "allow", "expected allow, got denied: policy default/web isolates"),
        (CLOSED, "web.default", "deny", ""),
    ],
)
def test_lookups_are_predicted(manifests: str, name: str, expect: str, says: str) -> None:
    result = judged(manifests, f"flows: [{{from: deploy/web, resolves: {name}, expect: {expect}}}]")
    (row,) = (row for row in result.rows if row.expectation)
    assert row.message.startswith(says) and row.ok is not bool(says)
    assert row.observed is None and result.status == bool(says)


def test_name_servers_outside_the_lab_have_no_prediction() -> None:
    own = OPEN.replace("spec: {containers", "spec: {dnsPolicy: None, dnsConfig: {nameservers: [9.9.9.9]}, containers")
    result = judged(own, "flows: [{from: deploy/web, resolves: web.default, expect: allow}]")
    (row,) = result.failed
    assert "no prediction" in row.message and result.status == 1


def test_the_port_of_a_headless_service_is_that_of_its_pods() -> None:
    headless = OPEN.replace("spec: {selector: {app: web}, ports: [{port: 80}]}",
                            "spec: {clusterIP: None, selector: {app: web}, ports: [{port: 5060, targetPort: sip}]}")  # fmt: skip
    expect = "flows: [{from: external/internet, to: svc/web, port: 5060, expect: deny}]"
    result = judged(headless, expect)
    assert [(row.flow.port, row.ok) for row in result.rows if row.expectation] == [(80, True)]
    assert not result.prepared.unserved, "nothing else is served there"


@pytest.mark.parametrize("expect", ["", "flows: []", "namespaces: [{name: x}]"])
def test_expectations_that_expect_nothing_are_no_success(expect: str) -> None:
    with pytest.raises(BadInput, match="expects nothing"):
        judged(OPEN, expect)
    judged(OPEN, "pods: [{name: client}]")


def test_the_backends_of_a_service_are_each_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    to = service.ServiceIndex._to

    def counted(self: service.ServiceIndex, *words: object) -> object:
        asked.append(words[1])
        return to(self, *words)  # type: ignore[arg-type]

    many = prepared(WEB.replace("REPLICAS", "30").replace("EGRESS", "[{}]"))
    monkeypatch.setattr(service.ServiceIndex, "_to", counted)
    flows = [flow for flow in many.flows if flow.dst.kind == "service" and flow.dst.name == "default/web"][:4]
    Predictor(many.cluster).answer(flows)
    assert len(flows) == 4 and 0 < len(asked) <= 3 * 30 * len(flows), "30 backends, not 30 times 30"
