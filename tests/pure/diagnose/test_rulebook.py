"""The meanings of rules, for packets that meet very many of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.diagnose.rules import rulebook
from netlab.diagnose.rules.rulebook import RuleBook
from netlab.diagnose.sightings.correlate import Judgement, Step
from netlab.model import build
from netlab.objects import NftChain
from netlab.plan import desired
from netlab.spec import Text, load_texts

POLICIES = 200


def policies() -> str:
    spec: dict[str, Any] = {"podSelector": {}, "ingress": [{"ports": [{"port": 443}]}]}
    texts = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"np-{number}"},
            "spec": spec,
        }
        for number in range(POLICIES)
    ]
    containers = [{"name": "main", "image": "x"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server"}, "spec": {"containers": containers}}
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "many"}}
    return "\n---\n".join(map(json.dumps, [lab, pod, *texts]))


def test_a_packet_that_meets_a_thousand_rules_is_explained_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule that it met was held against every rule of the chain: a trace past 500 policies took half a minute."""
    cluster = build(load_texts([Text("lab.yaml", policies())])).cluster
    want = desired(cluster)
    chain = max((obj for obj in want.values() if isinstance(obj, NftChain)), key=lambda obj: len(obj.rules))
    assert len(chain.rules) >= POLICIES
    family, table = chain.place.split()
    steps = tuple(Step(chain.chain, handle, "continue", "", "", rule) for handle, rule in enumerate(chain.rules, 1))
    judgement = Judgement(family, table, chain.chain, "forward", 0, steps, "accept")
    calls = []
    actions = rulebook.actions
    monkeypatch.setattr(rulebook, "actions", lambda text: calls.append(text) or actions(text))
    book = RuleBook(cluster, want)
    assert not any(book.foreign_rule(chain.netns, judgement, step) for step in steps)
    put = Step(chain.chain, 9999, "continue", "", "", "ip daddr 10.244.1.2 dnat to 10.244.1.3")
    assert book.foreign_rule(chain.netns, judgement, put), "no rule of the lab in this chain has such an effect"
    assert len(calls) <= 3 * (len(steps) + 1)
