"""The diagnosis of a whole lab without a kernel: what is probed, how deviations fold, which fault makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.diagnose.finding import Finding
from netlab.diagnose.labwide import manifests, nfttables
from netlab.diagnose.labwide.cause import TRACED, WRITTEN, Cause
from netlab.diagnose.labwide.choose import ALL, choose
from netlab.diagnose.labwide.evidence import Evidence
from netlab.diagnose.labwide.recognise import Recogniser
from netlab.diagnose.labwide.suspects import Suspect, suspects
from netlab.diagnose.labwide.traced import Traced
from netlab.faults.apply import state_with
from netlab.faults.catalogue import fault
from netlab.faults.injected import Injected
from netlab.model import Cluster, build
from netlab.objects import NftChain, State
from netlab.plan import check, desired, drift
from netlab.spec import Text, load_texts

KIT = Path(__file__).resolve().parents[2] / "kit/faults.yaml"
#: Faults that change no rules, whose text is the kernel's to print.
NAMED = (
    "route-to-peer-missing",
    "fdb-entry-wrong",
    "tunnel-down",
    "tunnel-port-mismatch",
    "vni-mismatch",
    "forwarding-off",
    "duplicate-pod-address",
    "pod-default-route-missing",
)


def lab(plane: str = "vxlan", text: str = "") -> tuple[Cluster, State]:
    text = text or KIT.read_text().replace("PLANE", plane).replace("NAME", "lab")
    cluster = build(load_texts([Text("lab.yaml", text)]), check=check).cluster
    return cluster, desired(cluster)


def seen(cluster: Cluster, want: State, have: State) -> tuple[Evidence, list[Suspect]]:
    evidence = Evidence(cluster, want, (), drift(want, have, want))
    return evidence, suspects(evidence.drift, {})


@pytest.mark.parametrize("name", NAMED)
def test_a_fault_of_a_node_has_its_name_by_what_it_makes(name: str) -> None:
    cluster, want = lab()
    at = fault(name).where(cluster, want)[0]
    evidence, folded = seen(cluster, want, state_with((Injected(name, at),), cluster, want))
    names = Recogniser(evidence, lambda _: None, written=False).names(folded)
    assert {(each.fault.id, each.at) for each in names.values()} == {(name, at)}
    assert set(names) == {number for number, suspect in enumerate(folded) if not suspect.learned}


def test_routes_that_are_made_anew_with_an_address_hide_no_name() -> None:
    cluster, want = lab("kindnet")
    name, at = "pod-address-wrong", "default/client"
    evidence, folded = seen(cluster, want, state_with((Injected(name, at),), cluster, want))
    names = Recogniser(evidence, lambda _: None, written=False).names(folded)
    assert {folded[number].kind: each.fault.id for number, each in names.items()}["address-wrong"] == name


def test_what_goes_with_a_link_is_a_part_of_its_suspect() -> None:
    cluster, want = lab()
    gone = [
        obj.key
        for obj in want.values()
        if obj.netns == "lab-node-1" and "vxlan0" in (obj.name, getattr(obj, "dev", ""))
    ]
    assert len(gone) > 5
    _, folded = seen(cluster, want, want.without(*gone))
    assert [(suspect.kind, suspect.netns, suspect.interface) for suspect in folded] == [
        ("link-missing", "lab-node-1", "vxlan0")
    ]
    assert len(folded[0].ops) + len(folded[0].parts) == len(gone)
    assert folded[0].mend("lab")[0].startswith("ip -n lab-node-1 link add")


def test_a_healthy_lab_has_no_suspect() -> None:
    cluster, want = lab("flannel-vxlan")
    assert seen(cluster, want, want)[1] == []


def test_a_rule_is_recognised_though_nft_leaves_out_what_another_word_implies() -> None:
    rule = "meta l4proto udp udp dport { 4789, 4790 } counter drop"
    flags = "meta l4proto tcp tcp flags & (syn | ack) == syn | ack counter drop"
    base = "type filter hook forward priority 0; policy accept;"
    chain = NftChain("sw", "bridge", "fabric", chain="FORWARD", rules=(rule, flags), base=base)
    printed = [
        "table bridge fabric {", "chain FORWARD { # handle 1", base,
        "udp dport { 4789, 4790 } counter packets 98 bytes 11558 drop # handle 3",
        "tcp flags syn,ack / syn,ack counter packets 0 bytes 0 drop # handle 4", "}", "}",
    ]  # fmt: skip
    assert nfttables.alike(nfttables.parts(printed), chain, chain)
    other = [line.replace("4790", "4791") for line in printed]
    assert not nfttables.alike(nfttables.parts(other), chain, chain)


def test_a_rule_is_recognised_though_nft_names_protocol_4() -> None:
    base = "type filter hook input priority 0; policy accept;"
    chain = NftChain("n", "ip", "firewall", chain="INPUT", rules=("ip protocol 4 counter drop",), base=base)
    printed = [
        "table ip firewall {",
        "chain INPUT {",
        base,
        "ip protocol ipencap counter packets 9 bytes 900 drop",
        "}",
        "}",
    ]
    assert nfttables.alike(nfttables.parts(printed), chain, chain)
    other = [line.replace("ipencap", "gre") for line in printed]
    assert not nfttables.alike(nfttables.parts(other), chain, chain)


def test_a_closed_port_belongs_to_the_container_that_crashed_there() -> None:
    closed = Cause("no-listener", "nobody listens", "lab-a", rank=TRACED, flows=frozenset({1, 2}))
    crash = Cause("container-crashes", "it crashed", "lab-a", rank=WRITTEN)
    elsewhere = Cause("no-listener", "nobody listens", "lab-b", rank=TRACED, flows=frozenset({3}))
    first, second = manifests.merged([closed, elsewhere, crash])
    assert (first.kind, first.flows, first.rank) == ("container-crashes", {1, 2}, TRACED)
    assert second == elsewhere


def test_where_a_packet_was_lost_says_more_than_that_no_name_server_answered() -> None:
    silent = Finding("nameserver", "no reply", "lab-a", root=True)
    dropped = Finding("foreign-rule", "dropped by a rule", "lab-node-1")
    assert Traced(None, (silent, dropped)).best == dropped  # type: ignore[arg-type]
    assert Traced(None, (silent,)).best == silent  # type: ignore[arg-type]


def test_in_a_larger_lab_each_target_is_asked_from_near_and_far() -> None:
    replicas = 12
    text = (
        KIT.read_text().replace("PLANE", "vxlan").replace("NAME", "lab")
        + f"""
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: many}}}}
  template: {{metadata: {{labels: {{app: many}}}}, spec: {{containers: [{{name: c, image: x, ports: [{{containerPort: 80}}]}}]}}}}
"""
    )
    cluster, _ = lab(text=text)
    flows = choose(cluster)
    nodes = {str(pod): pod.node for pod in cluster.pods}
    assert ALL < len(flows) < 600
    many = [name for name in nodes if name.startswith("default/many-")]
    assert len(many) == replicas
    assert {flow.src.name for flow in flows} >= {*many, "node-1", "node-2"}
    for name in many:
        near = {
            nodes[flow.src.name] == nodes[name] for flow in flows if flow.dst.name == name and flow.src.name in nodes
        }
        assert near == {True, False}
    assert any(flow.size for flow in flows)
