"""The JSON of traces of a real lab: flooded copies are told from the packet, and the place of a death is one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kernel.trace.conftest import WEB, Lab, only_from, pod, service

pytestmark = pytest.mark.kernel


def trace(lab: Lab, *words: str, check: int = 0) -> dict[str, Any]:
    return json.loads(lab.netlab("trace", *words, "-o", "json", "--timeout", "30", check=check).stdout)  # type: ignore[no-any-return]


def test_copies_of_a_bridge_that_has_not_learnt_yet_are_no_deaths(lab: Lab) -> None:
    lab.up(pod("client", "node-1"), *(pod(name, "node-2") for name in ("web", "other", "third")), dataplane="vxlan")
    shown = trace(lab, "client", "web")
    assert (shown["outcome"], shown["died"], shown["findings"]) == ("open", None, [])
    strangers = {f"{lab.name}-other", f"{lab.name}-third"}
    request = [event for event in shown["events"] if event["way"] == "question"]
    copied = [event for event in request if event["copy"]]
    assert {event["netns"] for event in copied if event["kind"] == "frame"} >= strangers, "the bridge flooded it"
    assert [event for event in request if event["netns"] in strangers and not event["copy"]] == []
    own = [event for event in request if event["kind"] == "frame" and event["packet"] == 1 and not event["copy"]]
    path = [(hop["netns"], hop["interface"], hop["direction"]) for hop in shown["expected"]["question"]["hops"]]
    assert [(event["netns"], event["interface"], event["direction"]) for event in own] == path


def test_the_death_of_a_packet_is_told_once_and_with_its_place(lab: Lab) -> None:
    lab.up(
        pod("client", "node-1"),
        pod("intruder", "node-1"),
        pod("web", "node-1", app="web"),
        service("web", WEB),
        only_from("client", "web"),
        dataplane="vxlan",
    )
    node = f"{lab.name}-node-1"
    shown = trace(lab, "intruder", "svc/web:http", check=1)
    died = shown["died"]
    assert (died["way"], died["netns"], died["hook"]) == ("question", node, "forward")
    assert shown["events"][died["event"]]["kind"] == "drop"
    assert shown["backend"]["name"] == "default/web"
    assert (shown["from_kind"], shown["to_kind"]) == ("pod", "service")
    assert shown["places"][node] == {"kind": "node", "name": "node-1"}

    without = trace(lab, "intruder", "svc/web:http", "--without", "drops", check=1)["died"]
    assert (without["way"], without["netns"], without["hook"]) == ("question", node, "forward")

    closed = trace(lab, "intruder", "client:81", check=1)
    assert (closed["outcome"], closed["died"]["netns"]) == ("refused", f"{lab.name}-client")
