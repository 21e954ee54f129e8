"""Recorded packets of a lab with faults: what is found in them, with all sources and with some missing.

The recordings are made by tests/kernel/trace/test_faults.py (NETLAB_RECORDINGS=FOLDER), where the faults stand too.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.diagnose.document import document
from netlab.diagnose.findings import findings
from netlab.diagnose.report import lines
from netlab.diagnose.sightings.correlate import DROP, FRAME, RULES
from netlab.diagnose.sightings.identity import REPLY, REQUEST
from netlab.diagnose.story import Story, tell
from netlab.evidence.records import DROPS, FRAMES, Recording, from_json, to_json
from netlab.evidence.records import RULES as RULES_SOURCE
from netlab.model import Cluster, build
from netlab.objects import Obj, Op, Port, Route, State, Sysctl, Verb
from netlab.plain import dump
from netlab.plan import check, desired
from netlab.plan.drift import Drift
from netlab.spec import Text, load_texts

FOLDER = Path(__file__).parent / "recordings"


@cache
def lab() -> tuple[Cluster, State]:
    cluster = build(load_texts([Text("lab.yaml", (FOLDER / "lab.yaml").read_text())]), check=check).cluster
    return cluster, desired(cluster)


@cache
def recording(name: str) -> Recording:
    return from_json(json.loads((FOLDER / f"{name}.json").read_text()))


def story(name: str, *without: str) -> Story:
    return tell(less(recording(name), *without), *lab())


def less(whole: Recording, *names: str) -> Recording:
    """The recording as it would be without some sources."""
    empty = {FRAMES: ("frames",), RULES_SOURCE: ("rules_seen", "rules", "chains"), DROPS: ("drops",)}
    fields = {field: () for name in names for field in empty[name]}
    sources = tuple(replace(one, on=one.on and one.name not in names, why="") for one in whole.sources)
    return replace(whole, sources=sources, **fields)  # type: ignore[arg-type]


def short(netns: str) -> str:
    return netns.removeprefix("faults-")


# Recording, then (kind, namespace) of the first finding with all sources, and without drop events.
FOUND = {
    "route-missing-default-takes-it": (("wrong-turn", "node-1"), ("wrong-turn", "node-1")),
    "route-back-missing": (("no-route", "node-2"), ("icmp", "node-2")),
    "fdb-missing": (("no-fdb-entry", "node-1"), ("link-dropped", "node-1")),
    "fdb-wrong-vtep": (("no-neighbour", "node-1"), ("no-neighbour", "node-1")),
    "vtep-neighbour-wrong": (("wrong-mac", "node-1"), ("wrong-mac", "node-1")),
    "server-port-detached-warm": (("wrong-turn", "node-2"), ("wrong-turn", "node-2")),
    "client-bridge-down": (("port-state", "node-1"), ("stopped", "node-1")),
    "forwarding-off-there": (("forwarding-off", "node-2"), ("not-forwarded", "node-2")),
    "reverse-path": (("reverse-path", "node-2"), ("reverse-path", "node-2")),
    "underlay-drops-vxlan": (("rule", "underlay"), ("rule", "underlay")),
    "vni-differs": (("vni", "node-2"), ("stopped", "node-2")),
    "vxlan-device-missing": (("no-vtep", "node-2"), ("icmp", "node-2")),
    "pod-mtu-too-big": (("mtu", "node-1"), ("icmp", "node-1")),
    "underlay-port-mtu-too-small": (("mtu", "underlay"), ("stopped", "underlay")),
    "gateway-is-a-pod": (("wrong-turn", "client"), ("wrong-turn", "client")),
    "address-of-client-twice": (("wrong-turn", "node-1"), ("wrong-turn", "node-1")),
    "policy": (("policy", "node-2"), ("policy", "node-2")),
    "service-without-endpoints": (("service", "node-1"), ("service", "node-1")),
    "nobody-listens": (("no-listener", "server"), ("reset", "server")),
    "ttl-too-small": (("ttl", "node-2"), ("ttl", "node-2")),
    "nothing-translates": (("foreign-rule", "node-1"), ("foreign-rule", "node-1")),
    "ping-in-fragments": (("fragmented", "client"), ("fragmented", "client")),
    "accept-queue-full": (("queue-full", "server"), ("queue-full", "server")),
}
LUCKY = {
    "gateway-is-a-pod-service": ("detour", "client"),
    "overlay-mtu-too-big": ("fragmented", "node-1"),
}
WELL = ("well-service", "well-direct", "well-ping", "well-itself")


@pytest.mark.parametrize("name", FOUND)
def test_first_finding(name: str) -> None:
    for expected, without in zip(FOUND[name], ((), (DROPS,)), strict=True):
        told = findings(story(name, *without))
        assert (told[0].kind, short(told[0].netns)) == expected, told


@pytest.mark.parametrize("name", FOUND)
def test_kernels_that_give_no_reasons(name: str) -> None:
    """Before Linux 5.17 a drop has a function and no reason: the place must be right, and nothing claimed that is not so."""
    whole = recording(name)
    mute = replace(whole, drops=tuple(replace(one, reason="") for one in whole.drops))
    told = findings(tell(mute, *lab()))
    kind, netns = FOUND[name][0]
    assert short(told[0].netns) == netns, told
    assert told[0].kind in (kind, "dropped"), told


@pytest.mark.parametrize("name", WELL)
def test_nothing_is_found_where_all_is_well(name: str) -> None:
    for without in ((), (DROPS,), (DROPS, RULES_SOURCE)):
        one = story(name, *without)
        assert findings(one) == ()
        assert (one.arrived, one.answered) == (True, True)


@pytest.mark.parametrize("name", LUCKY)
def test_what_works_by_luck_is_told(name: str) -> None:
    one = story(name)
    assert (one.answered, [(told.kind, short(told.netns)) for told in findings(one)]) == (True, [LUCKY[name]])


def test_fragments_are_one_packet() -> None:
    """Both fragments of the VXLAN packet have the number of what is inside, and the text says where it was cut."""
    one = story("overlay-mtu-too-big")
    cut = [event for event in one.events if event.kind == FRAME and event.packet.offset and event.role == REQUEST]
    assert {event.number for event in cut} == {1}
    text = "\n".join(lines(one, ()))
    assert "cut into fragments: the outer packet was too big for eth0" in text
    assert "put together again" in text


def test_every_recording_is_read_here() -> None:
    assert {one.stem for one in FOLDER.glob("*.json")} == {*FOUND, *LUCKY, *WELL}


# -- the way ----------------------------------------------------------------------------------------------------------


def test_service_hop_by_hop() -> None:
    """The sightings and what happened between them, in order."""
    text = "\n".join(lines(story("well-service"), ()))
    place = -1
    for part in (
        "request:",
        "client    eth0         out  SYN 10.244.1.2:",
        "node-1    veth-client  in",
        "node-1    nft prerouting: Service default/web port http; backend default/server",
        "accepted by node-1: the frame is for the MAC of cni0",
        "DNAT 10.96.0.80:80 -> 10.244.2.2:80",
        "node-1    cni0         in   SYN",
        "routed: TTL 64 -> 63",
        "node-1    vxlan0       out  SYN",
        "VXLAN by vxlan0: VNI 1, 172.18.0.2 -> 172.18.0.3 port 4789, +50 bytes",
        "node-1    eth0         out  VXLAN 1 172.18.0.2 > 172.18.0.3 port 4789 ttl 64",
        "underlay  node-1       in",
        "bridged by br0: node-1 -> node-2",
        "underlay  node-2       out",
        "node-2    eth0         in",
        "unwrapped by vxlan0: VNI 1, -50 bytes",
        "routed: TTL 63 -> 62",
        "node-2    veth-server  out",
        "server    eth0         in",
        "reply:",
        "server    eth0         out  SYN-ACK 10.244.2.2:80 >",
        "DNAT undone, source 10.244.2.2:80 -> 10.96.0.80:80",
        "client    eth0         in",
        "request and reply took the expected path",
    ):
        found = text.find(part, place + 1)
        assert found > place, f"{part!r} is not there, or too early, in\n{text}"
        place = found


def test_rules_stand_where_their_hooks_are() -> None:
    """Prerouting under br_netfilter belongs before the bridge's own frame, which is translated already."""
    events = [one for one in story("well-service").events if one.netns == "faults-node-1" and one.role == REQUEST]
    order = [(one.kind, one.judgement.hook if one.judgement else one.interface) for one in events if one.number == 1]
    first = order.index((FRAME, "cni0"))
    assert (RULES, "prerouting") in order[:first]
    assert order.index((FRAME, "veth-client")) < order.index((RULES, "prerouting"))


def test_policy_is_named_with_its_line() -> None:
    told = findings(story("policy"))[0]
    assert (told.policy, told.mark.file, told.reason) == ("default/only-near", "lab.yaml", "NETFILTER_DROP")
    text = (FOLDER / "lab.yaml").read_text().splitlines()
    assert "only-near" in text[told.mark.line - 1]
    assert told.look[0] == f"netlab explain --lab faults client {recording('policy').probe.address}:80"


def test_rejecting_rule_is_no_drop_to_the_reader() -> None:
    told = findings(story("service-without-endpoints"))
    assert "rejected" in told[0].message
    assert "Service default/empty port 80/TCP has no endpoint" in told[0].message
    assert [one.kind for one in told] == ["service", "icmp"]


def test_small_ttl_is_no_loop_where_no_place_was_seen_twice() -> None:
    told = findings(story("ttl-too-small"))[0]
    assert "it left faults-client with 2, which is too little for its path" in told.message


def test_what_was_not_translated_is_not_blamed_on_a_route() -> None:
    assert "no rule translated 10.96.0.80" in findings(story("nothing-translates"))[1].message


def test_cut_packet_hop_by_hop() -> None:
    """The bridge's own frame is whole, under br_netfilter; a fragment in a tunnel is not taken for something whole."""
    one = story("ping-in-fragments")
    assert (one.request_left, one.reply_left) == (None, None)
    notes = [(event.netns, note) for event in one.request for note in event.notes if "cut" in note or "again" in note]
    assert [(short(netns), note.split(":")[0]) for netns, note in notes] == [
        ("node-1", "put together again"), ("node-1", "cut into fragments"),
    ]  # fmt: skip


def test_missing_source_is_said_and_not_taken_for_silence() -> None:
    blind = story("policy", RULES_SOURCE)
    told = findings(blind)
    assert "rules were not traced" in told[0].message
    assert "source not used: rules" in "\n".join(lines(blind, told))
    unseen = story("policy", RULES_SOURCE, DROPS, FRAMES)
    assert not any(one.kind == "never-left" for one in findings(unseen)), "without frames nobody knows whether it left"


# -- what differs from the lab ----------------------------------------------------------------------------------------


def gone(key_of: type[Obj], netns: str, name: str) -> Op:
    want = lab()[1]
    found = next(one for one in want.values() if isinstance(one, key_of) and (one.netns, one.name) == (netns, name))
    return Op(Verb.CREATE, found)


def test_missing_route_is_the_first_cause() -> None:
    drift = Drift((gone(Route, "faults-node-1", "10.244.2.0/24"),), ())
    first, second, *_ = findings(story("route-missing-default-takes-it"), drift)
    assert (first.kind, first.netns, first.root) == ("drift", "faults-node-1", True)
    assert "10.244.2.0/24" in first.message
    assert "ip -n faults-node-1 route add 10.244.2.0/24 via 10.244.2.0 dev vxlan0 onlink" in first.mend
    assert second.kind == "wrong-turn"


def test_what_the_packet_did_not_need_is_not_blamed() -> None:
    """Other differences of the lab are no causes of this loss."""
    elsewhere = (
        gone(Port, "faults-node-2", "veth-spare"),
        gone(Route, "faults-spare", "0.0.0.0/0"),
        Op(Verb.UPDATE, *(Sysctl("faults-near", "net.ipv4.icmp_ratelimit", one) for one in ("0", "1000"))),
    )
    assert [one.kind for one in findings(story("policy"), Drift(elsewhere, ()))] == ["policy"]


def test_drift_is_no_fault_where_all_went_well() -> None:
    assert findings(story("well-service"), Drift((gone(Route, "faults-node-1", "10.244.2.0/24"),), ())) == ()


# -- as data ----------------------------------------------------------------------------------------------------------


def test_document_is_json_and_tells_each_hop() -> None:
    one = story("well-service")
    found = json.loads(json.dumps(dump(document(one, findings(one)))))
    frames = [event for event in found["events"] if event["kind"] == FRAME and event["packet"] == 1]
    hops = [(event["netns"], event["interface"], event["headers"][-1]["ttl"]) for event in frames]
    assert hops[0] == ("faults-client", "eth0", 64)
    assert hops[-1] == ("faults-server", "eth0", 62)
    expected = [(hop["netns"], hop["interface"]) for hop in found["expected"]["question"]["hops"]]
    assert [hop[:2] for hop in hops if hop[:2] in expected] == expected
    wrapped = next(event for event in frames if len(event["headers"]) == 2)
    assert wrapped["headers"][0] | {"kind": "VXLAN", "vni": 1, "target_port": 4789} == wrapped["headers"][0]
    assert {event["way"] for event in found["events"]} >= {REQUEST, REPLY}
    assert any(event["rule"] and event["rule"]["service"] == "default/web" for event in found["events"])


def test_document_of_a_drop() -> None:
    one = story("policy")
    found = dump(document(one, findings(one)))
    drop = next(event for event in found["events"] if event["kind"] == DROP)
    assert (drop["drop"]["reason"], drop["netns"]) == ("NETFILTER_DROP", "faults-node-2")
    assert found["findings"][0]["policy"] == "default/only-near"
    assert found["left"]["question"]["after"]["interface"] == "vxlan0"


def test_recordings_are_read_as_they_were_written() -> None:
    whole = recording("policy")
    assert from_json(json.loads(json.dumps(to_json(whole)))) == whole


# -- whatever is missing ----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*FOUND, *LUCKY, *WELL]), st.data())
def test_partial_evidence_never_breaks_the_report(name: str, data: st.DataObject) -> None:
    """Frames, rules, drops, texts of rules may be missing anywhere, and frames cut: the report stands, in 100 columns."""
    whole = recording(name)
    keep = data.draw(st.integers(0, 100))
    chance = data.draw(st.randoms(use_true_random=False))

    def some(rows: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(one for one in rows if chance.randrange(100) <= keep)

    cut = data.draw(st.sampled_from((20, 60, 100, 1 << 16)))
    frames = tuple(replace(one, data=one.data[:cut]) for one in some(whole.frames))
    partial = replace(
        whole, frames=frames, rules_seen=some(whole.rules_seen), rules=some(whole.rules), chains=some(whole.chains),
        drops=some(whole.drops), counters=dict(some(tuple(whole.counters.items()))),
    )  # fmt: skip
    one = tell(partial, *lab())
    told = findings(one)
    json.dumps(dump(document(one, told)))
    for line in lines(one, told):
        # What can be pasted stays on one line, and a name that is longer than a line is not broken.
        pasted = line.lstrip().startswith(("ip ", "nft", "bridge ", "netlab ", "tc "))
        assert len(line) <= 100 or pasted or max(map(len, line.split())) > 30, line


def test_keys_are_stable() -> None:
    """What is drawn from the document relies on these."""
    one = story("policy")
    found = dump(document(one, findings(one)))
    assert set(found) == {
        "lab", "from", "from_kind", "to", "to_kind", "backend", "died", "places", "netns", "address", "port", "protocol", "size", "df", "outcome", "error", "elapsed_us",
        "arrived", "answered", "ok", "attempts", "events", "expected", "left", "findings", "sources", "counters",
    }  # fmt: skip
    assert set(found["events"][0]) == {
        "time_us", "kind", "way", "packet", "netns", "interface", "direction", "length", "headers", "notes", "did", "after", "copy", "rule", "drop",
    }  # fmt: skip
