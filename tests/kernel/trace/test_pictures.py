"""Pictures of real traces: the walk has all hops, and a cross where the packet was lost."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from tests.kernel.trace.conftest import Lab, pod

pytestmark = pytest.mark.kernel


def elements(text: str) -> Iterator[tuple[str, str]]:
    for element in ET.fromstring(text).iter():
        yield element.get("class", ""), element.text or ""


def test_the_walk_of_a_packet_and_of_a_lost_packet(lab: Lab) -> None:
    lab.up(pod("client", "node-1"), pod("web", "node-2"), dataplane="vxlan")
    words = ("client", "web", "--timeout", "30")
    svg = lab.netlab("trace", *words, "-o", "svg").stdout
    shown = json.loads(lab.netlab("trace", *words, "-o", "json").stdout)
    hops = {event["netns"] for event in shown["events"] if event["way"] == "question" and not event["copy"]}
    assert len(hops) == 5
    numbers = [int(text) for style, text in elements(svg) if style == "num"]
    assert sorted(set(numbers)) == list(range(1, 13))
    assert sum(style == "death" for style, _ in elements(svg)) == 0

    subprocess.run(["ip", "-n", f"{lab.name}-node-1", "route", "del", "10.244.2.0/24"], check=True)
    lost = lab.netlab("trace", *words, "-o", "json", check=1).stdout
    (lab.path.parent / "trace.json").write_text(lost)
    svg = lab.netlab("graph", "--trace", str(lab.path.parent / "trace.json")).stdout
    assert sum(style == "death" for style, _ in elements(svg)) == 2, "on the picture and in the list"
    assert any("route add 10.244.2.0/24" in text for _, text in elements(svg)), "the command that mends"
    assert "down" not in lab.netlab("graph", "-o", "text").stdout

    reach = lab.netlab("reach", "-o", "svg").stdout
    assert {"client", "web"} <= {text for _, text in elements(reach)}
    refused = lab.netlab("graph", "--trace", str(lab.path), check=2)
    assert "is no document of netlab trace -o json" in refused.stderr
    assert refused.stdout == ""
