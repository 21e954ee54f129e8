"""Pictures can be read: nothing lies on something else, nothing is cut off, and the same lab gives the same picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.output.graph import Graph
from netlab.picture.layout import picture
from netlab.picture.metrics import SIZES, fit, lines, width
from netlab.picture.scene import Rect, Scene, Text
from netlab.picture.svg import render
from tests.pure.picture.conftest import SHIPPED, deployment, made, shipped


def texts(scene: Scene) -> list[tuple[float, float, float, float, str]]:
    """The box of each text: left, top, width, height."""
    boxes = []
    for layer in (scene.root, scene.front):
        for text in (item for item in layer.walk() if isinstance(item, Text)):
            wide, size = width(text.text, text.style), SIZES[text.style.split()[0]]
            left = text.x - {"start": 0, "middle": wide / 2, "end": wide}[text.anchor]
            boxes.append((left, text.y - size * 0.75, wide, size, text.text))
    return boxes


def faults(scene: Scene) -> list[str]:
    """What a reader could not read."""
    wrong = []
    for sort in ("node:", "pod:", "ext:"):
        there = [(key, box) for key, box in scene.boxes.items() if key.startswith(sort)]
        wrong += [f"{a} lies on {b}" for (a, x), (b, y) in combinations(there, 2) if overlap(x, y)]
    words = texts(scene)
    for left, top, wide, size, text in words:
        if left < 0 or left + wide > scene.width or top < 0 or top + size > scene.height:
            wrong.append(f"{text!r} is outside the picture")
    for a, b in combinations(words, 2):
        if (
            a[0] + 1 < b[0] + b[2]
            and b[0] + 1 < a[0] + a[2]
            and a[1] + 1 < b[1] + b[3] * 0.9
            and b[1] + 1 < a[1] + a[3] * 0.9
        ):
            wrong.append(f"{a[4]!r} lies on {b[4]!r}")
    return wrong


def overlap(a: Rect, b: Rect) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def missing(graph: Graph, scene: Scene) -> list[tuple[str, str]]:
    """Ends of wires that the picture does not show."""
    hidden = {pod.netns for pod in graph.pods if pod.system}
    ends = [[(end.netns, end.dev) for end in wire.ends] for wire in graph.wires]
    return [
        end for pair in ends if not hidden & {netns for netns, _ in pair} for end in pair if end not in scene.anchors
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_lab_has_a_picture_that_can_be_read(name: str) -> None:
    graph = shipped(name)
    scene = picture(graph)
    assert faults(scene) == []
    assert missing(graph, scene) == []
    text = render(scene)
    assert ET.fromstring(text).tag.endswith("svg")
    assert text == render(picture(graph)), "the same bytes"
    assert [
        pod.name for pod in graph.pods if not pod.system and f"pod:{pod.namespace}/{pod.name}" not in scene.boxes
    ] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_lab_has_a_narrow_picture_that_can_be_read(name: str) -> None:
    graph = shipped(name)
    scene = picture(graph, narrow=True)
    assert faults(scene) == []
    assert missing(graph, scene) == []
    assert graph.racks or scene.width < 460, "it fits a telephone at a scale that can be read"


@given(
    nodes=st.integers(1, 12),
    counts=st.lists(st.integers(1, 40), max_size=8),
    plane=st.sampled_from(("vxlan", "calico-bgp", "weave", "geneve", "ipip", "wireguard")),
    is_dual=st.booleans(),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_random_labs_can_be_read(nodes: int, counts: list[int], plane: str, is_dual: bool) -> None:
    families = ["IPv4", "IPv6"] if is_dual and plane in ("vxlan", "calico-bgp", "geneve") else ["IPv4"]
    workloads = {f"workload-{n}-with-a-name": count for n, count in enumerate(counts)}
    graph = made(nodes, workloads, deployment("other", 2, "shop"), dataplane=plane, ipFamilies=families)
    assert faults(picture(graph)) == []
    assert faults(picture(graph, narrow=True)) == []


def test_four_hundred_pods_have_a_square_each() -> None:
    graph = made(20, {"web": 300, "db": 100}, dataplane="vxlan")
    scene = picture(graph)
    assert sum(key.startswith("pod:") for key in scene.boxes) == 400
    assert 0.5 < scene.width / scene.height < 4, "a shape that a screen has"


def test_a_picture_says_in_words_what_it_shows() -> None:
    twin = picture(shipped("services")).twin
    assert any(line.startswith("Node node-1: eth0 172.18.0.2") for line in twin)
    assert "  Pod default/web-1 10.244.1.3, eth0 to veth-web-1, S1" in twin
    assert "S1 Service default/web 10.96.0.80" in twin


def test_policies_and_services_are_tagged_on_their_pods() -> None:
    scene = picture(shipped("policy-egress"))
    words = [item.text for item in scene.root.walk() if isinstance(item, Text)]
    assert {"P1", "P1↑", "out: 2 rules"} <= set(words)


def test_texts_of_manifests_never_become_elements() -> None:
    graph = shipped("overlay")
    pods = tuple(
        pod
        if pod.name != "client"
        else type(pod)(**{**vars_of(pod), "name": '</text><script>alert(1)</script>"\x1b\u202e'})
        for pod in graph.pods
    )
    text = render(picture(type(graph)(**{**vars_of(graph), "pods": pods})))
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
    assert tags == {"svg", "title", "desc", "style", "rect", "g", "path", "text"}
    assert "\x1b" not in text
    assert "\u202e" not in text


def vars_of(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in type(value).__dataclass_fields__}  # type: ignore[attr-defined]


def test_long_texts_keep_their_ends() -> None:
    assert fit("frontend-5d8f7c9b4d-rfnxl", 90, "pname").endswith("-rfnxl")
    assert width(fit("frontend-5d8f7c9b4d-rfnxl", 90, "pname"), "pname") <= 90
    assert lines("two words", 30, "t10") == ["two", "words"]
