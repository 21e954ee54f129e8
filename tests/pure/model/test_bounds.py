"""Labs that are too large are refused with the place of the first thing too much, whatever else they would take."""

from __future__ import annotations

import pytest

from netlab.errors import BadInput
from netlab.model import build
from netlab.model.bounds import NODES_MAX, PODS_MAX
from netlab.model.topology.underlays import RACKS_MAX
from netlab.spec import load_text

LAB = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: big}\nspec:\n  underlay: {kind: %s}\n  nodes:\n"
NODE = "---\napiVersion: v1\nkind: Node\nmetadata: {name: m%d}\n"
DEPLOYMENT = (
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\nspec:\n  replicas: 40000\n"
    "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
    "    spec: {containers: [{name: a, image: x}]}\n"
)


def listed(count: int) -> str:
    return LAB % "flat" + "".join(f"  - {{name: n{number}}}\n" for number in range(count))


def racked(count: int) -> str:
    return LAB % "routed" + "".join(f"  - {{name: n{number}, rack: r{number}}}\n" for number in range(count))


def problems(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        build(load_text(text, "text"))
    return [str(one) for one in caught.value.problems]


@pytest.mark.parametrize("count", [NODES_MAX + 1, 20_000])
def test_a_lab_with_too_many_nodes_is_refused_at_the_first_too_much(count: int) -> None:
    line = 7 + NODES_MAX
    says = f"spec.nodes: the lab has {count:,} nodes, and {NODES_MAX:,} is the most"
    assert problems(listed(count)) == [f"text:{line}:12: {says}"]


def test_node_documents_count_as_nodes_of_the_lab_do() -> None:
    more = "".join(NODE % number for number in range(3))
    (told,) = problems(listed(NODES_MAX - 2) + more)
    assert told.endswith(f"the lab has {NODES_MAX + 1:,} nodes, and {NODES_MAX:,} is the most")
    assert told.startswith(f"text:{6 + NODES_MAX - 2 + 2 * 4 + 2}:")


def test_as_many_nodes_as_are_allowed_are_built() -> None:
    text = listed(NODES_MAX).replace("kind: flat", "kind: flat, cidr: 172.20.0.0/20")
    assert len(build(load_text(text, "text")).cluster.nodes) == NODES_MAX


def test_two_deployments_with_too_many_pods_are_refused_and_no_pod_is_given_an_address() -> None:
    told = problems(LAB % "flat" + "  - {name: n}\n" + DEPLOYMENT % "a" + DEPLOYMENT % "b")
    assert len(told) == 1
    assert told[0].endswith(f"the lab has more than {PODS_MAX:,} Pods, which is the most: take fewer replicas")


def test_a_rack_too_many_is_a_sentence_and_no_index_error() -> None:
    (told,) = problems(racked(RACKS_MAX + 1))
    assert (
        told == f"text:6:3: spec.nodes: rack r{RACKS_MAX} is one of {RACKS_MAX + 1} racks, and {RACKS_MAX} is the most"
    )
    assert len(build(load_text(racked(RACKS_MAX), "text")).cluster.underlay.racks) == RACKS_MAX
