"""Mermaid, Graphviz and the map of a frame."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from netlab.graph.formats import names, renderer
from netlab.output.flows import ChangedFlow, Flow, Reach
from netlab.picture.bytemap import OVERHEAD, bytemap
from netlab.picture.matrix import matrix
from netlab.picture.scene import Rect, Text
from netlab.picture.svg import render
from tests.pure.picture.conftest import SHIPPED, shipped

# A frame as node-1 sends it in the lab overlay: an ICMP echo request in VXLAN.
FRAME = bytes.fromhex(
    "02420000000302420000000208004500004e000040004011e27aac120002ac120003c27012b5003a00000800000000000100"
    "0a580af402000a580af4010008004500002800004000400124600af401020af402020800f7ff00000000"
)


def test_the_formats() -> None:
    assert names() == ["dot", "json", "mermaid", "svg", "text"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_edge_of_a_flowchart_joins_two_boxes(name: str) -> None:
    text = "".join(renderer("mermaid")(shipped(name)))
    boxes = re.findall(r'^ +(\w+)\["', text, re.MULTILINE)
    assert len(boxes) == len(set(boxes))
    edges = re.findall(r"^  (\w+) -[-.]-(?:\|[^|]*\|)? (\w+)$", text, re.MULTILINE)
    assert len(edges) >= len(shipped(name).wires)
    assert {end for edge in edges for end in edge} <= set(boxes)
    assert text.count("subgraph ") == text.count("end\n")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_edge_for_graphviz_joins_two_nodes(name: str) -> None:
    text = "".join(renderer("dot")(shipped(name)))
    nodes = set(re.findall(r"^ +(\w+) \[label=", text, re.MULTILINE))
    edges = re.findall(r"^  (\w+) -- (\w+)", text, re.MULTILINE)
    assert {end for edge in edges for end in edge} <= nodes
    assert text.count("{") == text.count("}")


def test_the_map_of_a_frame_names_its_fifty_bytes() -> None:
    assert OVERHEAD == 50
    scene = bytemap(FRAME, "an echo request")
    assert {
        "  VNI 1",
        "  to port 4789",
        "  from Pod 10.244.1.2",
        "  to Pod 10.244.2.2",
        "  from node 172.18.0.2",
    } <= set(scene.twin)
    cells = [element.text for element in ET.fromstring(render(scene)).iter() if element.get("class") == "byte"]
    assert bytes.fromhex("".join(cells)) == FRAME  # type: ignore[arg-type]


def test_what_opens_and_closes_has_a_frame_and_a_line() -> None:
    ends = {"from_kind": "pod", "to_kind": "pod", "address": "10.244.1.2", "server": None, "client": None}
    flows = tuple(
        Flow(from_=source, to="shop/db", port=5432, protocol="TCP", outcome=outcome, **ends)  # type: ignore[arg-type]
        for source, outcome in (("shop/web", "open"), ("shop/cron", "denied"))
    )
    changes = tuple(
        ChangedFlow(from_=source, to="shop/db", port=5432, protocol="TCP", change=change, because=because)
        for source, change, because in (("shop/web", "opens", None), ("shop/cron", "closes", "shop/db-only"))
    )
    reach = Reach(lab="shop", places={}, flows=flows, seconds=0.5, warnings=())
    scene = matrix(reach, changes)  # type: ignore[arg-type]
    frames = [item.style for item in scene.over.walk() if isinstance(item, Rect)]
    assert frames == ["change opens", "change closes"]
    words = [item.text for item in scene.root.walk() if isinstance(item, Text)]
    assert "since the older state: 1 open (+), 1 close (−)" in words
    assert "− shop/cron → shop/db:5432: shop/db-only" in words
    assert "change" not in render(matrix(reach)).partition("</style>")[2]
