"""The document of a trace as a drawer reads it: which sighting follows which, what changed, where the packet died."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netlab.diagnose.causes.fate import copies
from netlab.diagnose.document import document
from netlab.diagnose.findings import findings
from netlab.diagnose.story import tell
from netlab.evidence.records import from_json
from netlab.model import build
from netlab.plain import dump
from netlab.plan import check, desired
from netlab.spec import Text, load_texts

FOLDER = Path(__file__).parent / "recordings"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
CLUSTER = build(load_texts([Text("lab.yaml", (FOLDER / "lab.yaml").read_text())]), check=check).cluster
WANT = desired(CLUSTER)


def trace(name: str) -> dict[str, Any]:
    story = tell(from_json(json.loads((FOLDER / f"{name}.json").read_text())), CLUSTER, WANT)
    return json.loads(json.dumps(dump(document(story, findings(story)))))  # type: ignore[no-any-return]


def line(trace: dict[str, Any], index: int) -> list[str]:
    """The interfaces of a packet up to an event, by ``after``."""
    places: list[str] = []
    while True:
        event = trace["events"][index]
        if event["kind"] == "frame":
            places.insert(0, f"{event['netns'].removeprefix('faults-')} {event['interface']} {event['direction']}")
        if event["after"] is None:
            return places
        index = event["after"]


@pytest.mark.parametrize("name", NAMES)
def test_each_event_follows_an_earlier_sighting_of_its_packet(name: str) -> None:
    events = trace(name)["events"]
    for index, event in enumerate(events):
        if event["after"] is not None:
            before = events[event["after"]]
            assert event["after"] < index
            assert (before["kind"], before["packet"], before["way"]) == ("frame", event["packet"], event["way"])
        if event["kind"] == "frame":
            assert event["direction"] in ("in", "out", "other")
            assert [each["kind"] for each in event["did"]] or not event["notes"]


@pytest.mark.parametrize("name", NAMES)
def test_a_packet_died_if_and_only_if_nobody_replied(name: str) -> None:
    shown = trace(name)
    died = shown["died"]
    assert (died is None) == (shown["outcome"] == "open" or not shown["events"])
    if died:
        event = shown["events"][died["event"]]
        assert (event["packet"], event["netns"], event["way"]) == (died["packet"], died["netns"], died["way"])
        assert not event["copy"]


@pytest.mark.parametrize("name", NAMES)
def test_places_has_each_namespace_that_the_document_names(name: str) -> None:
    shown = trace(name)
    named = {shown["netns"]} | {event["netns"] for event in shown["events"]}
    named |= {
        hop["netns"] for leg in ("question", "answer") if (path := shown["expected"][leg]) for hop in path["hops"]
    }
    assert named <= set(shown["places"])
    assert shown["places"]["faults-client"] == {"kind": "pod", "name": "default/client", "node": "node-1"}


def test_the_changes_of_a_service_over_vxlan() -> None:
    shown = trace("well-service")
    assert (shown["from_kind"], shown["to_kind"], shown["died"]) == ("pod", "service", None)
    request = [event for event in shown["events"] if event["packet"] == 1 and event["kind"] == "frame"]
    did = [change for event in request for change in event["did"] if not event["copy"]]
    kinds = [change["kind"] for change in did]
    assert kinds == ["taken-up", "dnat", "routed", "wrapped", "bridged", "unwrapped", "routed", "bridged"], kinds
    dnat = did[1]
    assert dnat["from"] == f"{shown['address']}:{shown['port']}"
    assert dnat["to"] == f"{shown['backend']['address']}:{shown['backend']['port']}"
    assert shown["places"][shown["backend"]["netns"]]["name"] == shown["backend"]["name"]
    assert (did[3]["bytes"], did[3]["vni"]) == (50, 1)
    back = [change for event in shown["events"] if event["way"] == "answer" for change in event["did"]]
    assert [change["undone"] for change in back if change["kind"] == "dnat"]


def test_the_line_of_a_request_is_its_expected_path() -> None:
    shown = trace("well-service")
    hops = [f"{hop['netns'].removeprefix('faults-')} {hop['interface']} {hop['direction']}"
            for hop in shown["expected"]["question"]["hops"]]  # fmt: skip
    last = max(index for index, event in enumerate(shown["events"])
               if event["packet"] == 1 and event["kind"] == "frame" and not event["copy"])  # fmt: skip
    assert line(shown, last) == hops


def test_a_denied_packet_died_where_it_was_last_seen() -> None:
    shown = trace("policy")
    died = shown["died"]
    assert (died["way"], died["hook"], died["reason"]) == ("question", "forward", "NETFILTER_DROP")
    assert (died["netns"], died["interface"]) == (shown["findings"][0]["netns"], "vxlan0")
    judged = [event for event in shown["events"] if event["kind"] == "rules" and event["rule"]["verdict"] == "drop"]
    assert [(event["interface"], event["direction"]) for event in judged] == [("vxlan0", "in")]


def test_a_packet_that_loops_thousands_of_times_has_its_copies_told() -> None:
    story = tell(from_json(json.loads((FOLDER / "well-service.json").read_text())), CLUSTER, WANT)
    first = next(event for event in story.events if event.kind == "frame" and event.direction == "out")
    chain = [replace(first, after=index - 1 if index else None) for index in range(3000)]
    stray = replace(first, after=0, interface="elsewhere")
    assert copies(replace(story, events=(*chain, stray))) == {3000}
