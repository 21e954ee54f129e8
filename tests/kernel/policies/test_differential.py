"""Random clusters and policies: the oracle says what packets do.

Five Pods of two namespaces on two nodes, one more in its node's network, and a Service whose backends the labels choose:
every Pod and node asks every port of all of them, in both families.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.kernel.linux import LinuxKernel
from netlab.model import Memory, build
from netlab.objects import diff
from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.plan import check, desired
from netlab.runtime import lab as labs
from netlab.runtime.client.listeners import AgentListeners
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.spec import Text, load_texts

pytestmark = pytest.mark.kernel

NAMES = ("a", "b", "c")
_labels = st.fixed_dictionaries({"app": st.sampled_from(NAMES)}, optional={"tier": st.sampled_from(["x", ""])})
_need = st.one_of(
    st.builds(lambda k, o, v: {"key": k, "operator": o, "values": v}, st.sampled_from(["app", "tier"]),
              st.sampled_from(["In", "NotIn"]), st.lists(st.sampled_from(["a", "b", "x", ""]), min_size=1, max_size=2)),
    st.builds(lambda k, o: {"key": k, "operator": o}, st.sampled_from(["app", "tier"]),
              st.sampled_from(["Exists", "DoesNotExist"])),
)  # fmt: skip
_selector = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(st.just("app"), st.sampled_from(NAMES), max_size=1),
        "matchExpressions": st.lists(_need, max_size=1),
    },
)
_spaces = st.one_of(
    st.just({}),
    st.builds(lambda n: {"matchLabels": {"kubernetes.io/metadata.name": n}}, st.sampled_from(["default", "shop"])),
    st.just({"matchLabels": {"team": "shop"}}),
)
_block = st.sampled_from([
    {"cidr": "10.244.1.0/24"}, {"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24", "10.244.2.128/25"]},
    {"cidr": "10.244.0.0/16", "except": ["10.244.1.2/32"]}, {"cidr": "::/0"}, {"cidr": "fd00:10:244:1::/64"},
])  # fmt: skip
_peer = st.one_of(
    st.builds(lambda s: {"podSelector": s}, _selector),
    st.builds(lambda s: {"namespaceSelector": s}, _spaces),
    st.builds(lambda s, n: {"podSelector": s, "namespaceSelector": n}, _selector, _spaces),
    st.builds(lambda b: {"ipBlock": b}, _block),
)
_port = st.one_of(
    st.just({}),
    st.builds(lambda p, n: {"protocol": p, "port": n}, st.sampled_from(["TCP", "UDP"]), st.sampled_from([80, 81, "web", "x"])),
    st.builds(lambda p: {"protocol": p}, st.sampled_from(["TCP", "UDP", "SCTP"])),
    st.builds(lambda p, e: {"protocol": p, "port": 79, "endPort": e}, st.sampled_from(["TCP", "UDP"]), st.sampled_from([79, 80, 81])),
)  # fmt: skip


def _rule(peers: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={peers: st.lists(_peer, max_size=2), "ports": st.lists(_port, max_size=2)}
    )


_policy = st.fixed_dictionaries(
    {"podSelector": _selector},
    optional={
        "ingress": st.lists(_rule("from"), max_size=2),
        "egress": st.lists(_rule("to"), max_size=2),
        "policyTypes": st.lists(st.sampled_from(["Ingress", "Egress"]), max_size=2, unique=True),
    },
)
_cluster = st.tuples(
    st.lists(_labels, min_size=5, max_size=5),
    st.lists(st.tuples(st.sampled_from(["default", "shop"]), _policy), min_size=1, max_size=4),
)


Choice = dict[str, str]


def _text(
    name: str, plane: str, choice: Choice, labels: list[dict[str, str]], policies: list[tuple[str, dict[str, Any]]]
) -> str:
    spec = {
        "dataplane": plane,
        "ipFamilies": ["IPv4", "IPv6"],
        "nodes": [{"name": "node-1"}, {"name": "node-2"}],
        "policy": choice,
    }
    objects: list[dict[str, Any]] = [
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": name}, "spec": spec},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "shop"}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"},
         "spec": {"selector": {"app": "a"}, "ipFamilyPolicy": "PreferDualStack",
                  "ports": [{"port": 8000, "targetPort": "web"}]}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "host", "labels": labels[0]},
         "spec": {"nodeName": "node-1", "hostNetwork": True,
                  "containers": [{"name": "c", "image": "x", "ports": [{"name": "web", "containerPort": 82}]}]}},
    ]  # fmt: skip
    for number, own in enumerate(labels):
        port = 80 + number % 2
        ports = [{"name": "web", "containerPort": port}, {"containerPort": port, "protocol": "UDP"}]
        objects.append({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": f"p{number}", "namespace": "shop" if number > 2 else "default", "labels": own},
            "spec": {"nodeName": f"node-{1 + number % 2}", "containers": [{"name": "c", "image": "x", "ports": ports}]},
        })  # fmt: skip
    objects += [
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
         "metadata": {"name": f"np{number}", "namespace": namespace}, "spec": one}
        for number, (namespace, one) in enumerate(policies)
    ]  # fmt: skip
    return "\n---\n".join(map(json.dumps, objects))


class Live:
    """A lab that goes from one random state to the next, live."""

    def __init__(self, name: str, plane: str, choice: Choice) -> None:
        self.name, self.plane, self.choice = name, plane, choice
        text = _text(name, plane, choice, [{"app": "a"}] * 5, [])
        self.applied = Applied(f"/random/{name}", name, (("lab.json", text),))
        self.cluster = labs.up(self.applied, wait=False).lab.cluster
        self.have = desired(self.cluster)
        self.kernel = LinuxKernel(AgentListeners(name, RunDir(name).path))

    def become(self, text: str) -> None:
        documents = load_texts([Text("lab.json", text)])
        assert not documents.problems, documents.problems
        self.cluster = build(documents, name=self.name, memory=Memory.of(self.cluster), check=check).cluster
        want = desired(self.cluster)
        self.kernel.apply(diff(want, self.have))
        self.have = want


@pytest.fixture(
    params=[
        ("vxlan", {}),
        ("calico-bgp", {}),
        ("kindnet", {"deny": "reject", "established": "drop"}),
    ],
    ids=["vxlan", "calico-bgp", "kindnet, choices"],
)
def live(request: pytest.FixtureRequest, lab_name: str) -> Iterator[Live]:
    made = Live(lab_name, *request.param)
    yield made
    made.kernel.close()
    labs.down(lab_name)


@settings(
    max_examples=int(os.environ.get("NETLAB_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(state=_cluster)
def test_oracle_and_packets_agree(live: Live, state: tuple[Any, Any]) -> None:
    live.become(_text(live.name, live.plane, live.choice, *state))
    sources = [
        *(f"default/p{number}" for number in range(3)),
        "shop/p3",
        "shop/p4",
        "host",
        "node/node-1",
        "node/node-2",
    ]
    asked = list(flows(live.cluster, sources=sources, ports=["79/TCP"]))
    predicted = Predictor(live.cluster).answer(asked)
    found = {one.flow: one for one in probed(Prober(timeout=(0.05, 0.1)), live.cluster, asked)}
    slow = [flow for flow in asked if not agree(predicted[flow], found[flow])]
    found |= {one.flow: one for one in probed(Prober(), live.cluster, slow)}
    wrong = [f"{flow}: oracle {predicted[flow]}, packets {found[flow]}" for flow in slow
             if not agree(predicted[flow], found[flow])]  # fmt: skip
    assert not wrong, "\n".join(wrong)
