"""What a grader takes of a hand-in: objects that such a lab can have, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.errors import BadInput
from netlab.exercise.handin import handed, state_of
from netlab.model import build
from netlab.objects import Netns, Process, Route, Sysctl
from netlab.output.learn import HandInState
from netlab.plain import dump, load
from netlab.plan import Host, desired
from netlab.runtime.state.rundir import Applied
from netlab.spec import Text, load_texts

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: x}
spec: {dataplane: vxlan, nodes: [{name: node-1}, {name: node-2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: c, image: i, command: [sleep, "9"]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
"""
WANT = desired(build(load_texts([Text("lab.yaml", LAB)])).cluster, Host())


def there_and_back(change: Any = lambda _: None) -> HandInState:
    data = json.loads(json.dumps(dump(handed(0, WANT.values(), (), Applied("lab.yaml")))))
    change(data)
    return load(HandInState, data)


def test_a_lab_that_is_handed_in_as_it_was_is_the_same_lab() -> None:
    assert state_of(there_and_back(), WANT) == WANT


def test_what_the_learner_removed_is_gone_and_processes_stay() -> None:
    def change(data: Any) -> None:
        data["objects"] = [each for each in data["objects"] if each["kind"] != "route"]
        data["rules"] = []

    state = state_of(there_and_back(change), WANT)
    assert not list(state.only(Route))
    assert list(state.only(Process)) == list(WANT.only(Process))
    assert {obj.netns for obj in state.only(Netns)} == {obj.netns for obj in WANT.only(Netns)}
    assert {obj.kind for obj in WANT.values()} - {obj.kind for obj in state.values()} >= {"nft", "nft-chain", "route"}


@pytest.mark.parametrize(
    ("stranger", "message"),
    [
        ({"kind": "process", "netns": "x-node-1", "argv": ["id"]}, "kind process is no object that a hand-in may have"),
        ({"kind": "file", "netns": "x-a", "path": "/etc/passwd"}, "kind file is no object"),
        ({"kind": "nft-chain", "netns": "x-a", "rules": ['include "/etc/shadow"']}, "kind nft-chain is no object"),
        ({"kind": "netns", "netns": "x-b"}, "kind netns is no object"),
        ({}, "of kind None is no object"),
        ({"kind": ["route"]}, "is no object"),
        ({"kind": "route", "netns": "host", "dst": "192.0.2.0/24"}, "is in host, which is no namespace of this lab"),
        ({"kind": "sysctl", "netns": "x-a", "path": "kernel.core_pattern", "value": "|id"}, "is none that this lab sets"),
        ({"kind": "route", "netns": "x-a", "dst": 5}, "of kind route is wrong"),
        ({"kind": "route", "netns": "x-a", "dst": "192.0.2.0/24", "exec": "id"}, "kind route has no field exec"),
        ({"kind": "route", "netns": "x-a"}, "of kind route is wrong"),
    ],
)  # fmt: skip
def test_what_a_lab_cannot_have_is_refused(stranger: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        state_of(there_and_back(lambda data: data["objects"].append(stranger)), WANT)


def test_a_veth_that_leaves_the_lab_is_refused() -> None:
    def change(data: Any) -> None:
        veth = next(each for each in data["objects"] if each["kind"] == "veth")
        veth["peer"]["netns"] = "host"

    with pytest.raises(BadInput, match="is no namespace of this lab"):
        state_of(there_and_back(change), WANT)


def test_one_object_twice_and_too_many_objects_are_refused() -> None:
    with pytest.raises(BadInput, match="is there twice"):
        state_of(there_and_back(lambda data: data["objects"].append(data["objects"][0])), WANT)
    with pytest.raises(BadInput, match="too many for this lab"):
        state_of(there_and_back(lambda data: data["objects"].extend(data["objects"] * 1000)), WANT)


def test_all_settings_of_a_lab_are_handed_in() -> None:
    assert len([each for each in there_and_back().objects if each["kind"] == "sysctl"]) == len(list(WANT.only(Sysctl)))
