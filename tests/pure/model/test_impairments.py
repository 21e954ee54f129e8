"""Which links the names of a lab mean, and which end carries the impairment."""

from __future__ import annotations

import json

import pytest

from netlab.model import Cluster, build
from netlab.model.topology.links import kept, round_trip
from netlab.model.workloads.changes import Changes
from netlab.spec import Text, load_texts

POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{nodeName: node-2, containers: [{{name: c, image: x}}]}}
"""


def documents(*links: dict[str, object], pods: str = "", **spec: object) -> str:
    lab = {
        "nodes": [{"name": "node-1", "rack": "a"}, {"name": "node-2", "rack": "b"}],
        "links": links,
        "underlay": {"kind": "routed"},
        **spec,
    }
    head = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": lab}
    return f"{json.dumps(head)}\n{pods}"


def cluster(text: str, changes: Changes | None = None) -> Cluster:
    return build(load_texts([Text("lab.yaml", text)]), changes=changes).cluster


def sent(lab: Cluster) -> list[tuple[str, str, str]]:
    """The link, the sender, the values."""
    return [(each.link.title, each.link.sender(each.direction), str(each.values)) for each in lab.impairments]


PODS = POD.format(name="web", namespace="shop") + POD.format(name="web", namespace="default")


@pytest.mark.parametrize(
    ("between", "title"),
    [
        (["node-1", "underlay"], "node-1 and a"),
        (["a", "node-1"], "node-1 and a"),
        (["underlay", "b"], "b and underlay"),
        (["internet", "underlay"], "internet and underlay"),
        (["web", "node-2"], "web and node-2"),
        (["node", "shop/web"], "shop/web and node-2"),
    ],
)
def test_a_link_is_named_by_its_ends_and_each_end_impairs_what_it_sends(between: list[str], title: str) -> None:
    lab = cluster(
        documents(
            {"between": between, "delay": "20ms", "loss": "1%"},
            pods=PODS,
            external=[{"name": "internet", "address": "203.0.113.10"}],
        )
    )
    lower, _, upper = title.partition(" and ")
    assert sent(lab) == [(title, lower, "delay 20ms loss 1%"), (title, upper, "delay 20ms loss 1%")]
    assert all(each.mark and each.mark.file == "lab.yaml" for each in lab.impairments)


def test_from_impairs_what_one_end_sends() -> None:
    links = (
        {"between": ["node-1", "underlay"], "loss": "1%", "from": "node-1"},
        {"between": ["underlay", "node-1"], "rate": "1mbit", "from": "underlay"},
    )
    assert sent(cluster(documents(*links))) == [
        ("node-1 and a", "node-1", "loss 1%"),
        ("node-1 and a", "a", "rate 1mbit"),
    ]


def test_zero_is_no_impairment() -> None:
    assert sent(cluster(documents({"between": ["node-1", "underlay"], "loss": "0%", "delay": "0ms"}))) == []


def test_what_was_set_by_hand_is_in_place_of_the_documents_and_may_clear_it() -> None:
    text = documents({"between": ["node-1", "underlay"], "loss": "1%"})
    changes = Changes(
        links={"Node/node-1 up": {}, "Node/node-2 down": {"delay": "5ms"}, "Pod/default/gone up": {"loss": "1%"}}
    )
    assert sent(cluster(text, changes)) == [
        ("node-1 and a", "a", "loss 1%"),
        ("node-2 and b", "b", "delay 5ms"),
    ]


def test_changes_of_links_that_are_gone_or_change_nothing_are_forgotten() -> None:
    loaded = load_texts([Text("lab.yaml", documents({"between": ["node-1", "underlay"], "loss": "1%"}))])
    lab = build(loaded).cluster
    changes = {
        "Node/node-1 up": {},
        "Node/node-2 up": {},
        "Pod/default/gone up": {"loss": "1%"},
        "Node/node-2 down": {"loss": "2%"},
    }
    assert kept(changes, lab, loaded.lab).keys() == {"Node/node-1 up", "Node/node-2 down"}


def test_an_end_that_was_deleted_by_hand_is_no_error() -> None:
    links = ({"between": ["web", "node-2"], "loss": "1%"}, {"between": ["node-2", "underlay"], "loss": "1%"})
    changes = Changes(removed_nodes=frozenset(("node-2",)), finished=frozenset(("default/web",)))
    assert sent(cluster(documents(*links), changes)) == []


def test_a_round_trip_is_delayed_by_two_links_of_each_kind_in_both_directions() -> None:
    links = (
        {"between": ["node-1", "underlay"], "delay": "20ms", "jitter": "5ms"},
        {"between": ["node-2", "underlay"], "delay": "100ms", "from": "node-2"},
        {"between": ["web", "node"], "delay": "1ms"},
    )
    assert round_trip(cluster(documents(*links, pods=PODS))) == pytest.approx(2 * (0.1 + 0.025 + 0.001 + 0.001))
