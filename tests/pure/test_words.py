"""Words of the command line: who is meant by a NAME, what a jsonpath template says."""

from __future__ import annotations

import json

import pytest

from netlab.cli import jsonpath
from netlab.cli.find import place
from netlab.errors import BadInput
from netlab.model import Cluster, build
from netlab.spec import Text, load_texts


def cluster(pod: str = "web") -> Cluster:
    lab = {
        "apiVersion": "netlab/v1",
        "kind": "Lab",
        "metadata": {"name": "x"},
        "spec": {"external": [{"name": "internet", "address": "192.0.2.10"}]},
    }
    one = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    return build(load_texts([Text("lab.yaml", "\n---\n".join(map(json.dumps, (lab, one))))])).cluster


@pytest.mark.parametrize(
    ("name", "netns"), [("web", "x-web"), ("default/web", "x-web"), ("node-1", "x-node-1"), ("internet", "x-internet")]
)
def test_a_name_is_a_pod_then_a_node_then_a_host_outside(name: str, netns: str) -> None:
    assert place(cluster(), name, "").netns == netns


@pytest.mark.parametrize("name", ["node-1", "internet"])
def test_a_name_that_two_have_is_refused_and_a_namespace_settles_it(name: str) -> None:
    with pytest.raises(BadInput, match=f"{name} is a Pod and a"):
        place(cluster(name), name, "")
    assert place(cluster(name), f"default/{name}", "").pod is not None
    assert place(cluster(name), name, "default").pod is not None


def test_who_is_nobody_is_told_who_is_near() -> None:
    with pytest.raises(BadInput, match='did you mean "internet"'):
        place(cluster(), "internot", "")


@pytest.mark.parametrize("template", ["{.items[0", ".items[0}x{", "{range .items[*]}{.a"])
def test_a_template_with_a_bracket_too_few_is_an_error_and_not_its_own_text(template: str) -> None:
    with pytest.raises(BadInput, match="jsonpath"):
        jsonpath.render(template, {"items": []})


def test_templates_that_are_whole_are_not_refused() -> None:
    data = {"items": [{"a": 1}, {"a": "{"}]}
    assert jsonpath.render('{range .items[*]}{.a}{"\\n"}{end}', data) == "1\n{\n"


@pytest.mark.parametrize("word", ["pod/web", "default/web", "node/node-1", "external/internet"])
def test_a_place_has_the_words_of_every_verb(word: str) -> None:
    assert place(cluster(), word, "").netns == f"x-{word.rpartition('/')[2]}"


def test_an_address_is_the_place_that_has_it() -> None:
    built = cluster()
    address = str(built.pods[0].addresses[0].ip)
    assert place(built, address, "").pod == built.pods[0]
    assert place(built, str(built.nodes[0].addresses[0].ip), "").netns == "x-node-1"
    with pytest.raises(BadInput, match="has no network namespace"):
        place(built, "198.51.100.7", "")
