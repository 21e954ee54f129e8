"""The Admin and Baseline tiers by real packets: on every kind of data plane, changed live, traced, and denied by their
own counters.  The order of the tiers and what rules match is the conformance suite's.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from netlab.kernel.host import netns as ns
from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime import lab as labs
from netlab.runtime.state import running

pytestmark = pytest.mark.kernel

Body = dict[str, Any]
PODS = [("client", "node-1"), ("server", "node-2"), ("near", "node-2"), ("far", "node-1")]
API = "policy.networking.k8s.io"


def labelled(app: str) -> Body:
    return {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": app}}}}


def admin(name: str, priority: int, subject: Body, **spec: Any) -> Body:
    return {"apiVersion": f"{API}/v1alpha1", "kind": "AdminNetworkPolicy", "metadata": {"name": name},
            "spec": {"priority": priority, "subject": subject, **spec}}  # fmt: skip


def cluster_policy(name: str, tier: str, priority: int, subject: Body, **spec: Any) -> Body:
    return {"apiVersion": f"{API}/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": name},
            "spec": {"tier": tier, "priority": priority, "subject": subject, **spec}}  # fmt: skip


EVERYBODY: Body = {"namespaces": {}}
CLOSED = admin("closed", 50, labelled("server"), ingress=[{"name": "all", "action": "Deny", "from": [EVERYBODY]}])
CLIENT = {"action": "Accept", "from": [labelled("client")], "protocols": [{"tcp": {"destinationPort": {"number": 80}}}]}
OPENED = cluster_policy("opened", "Admin", 9, labelled("server"), ingress=[CLIENT])


class Bed:
    """A lab in which policies come and go."""

    def __init__(self, lab: str) -> None:
        self.lab = lab

    def apply(self, *objects: Body) -> None:
        labs.change(self.lab, add=[(f"{one['metadata']['name']}.json", json.dumps(one)) for one in objects])

    def delete(self, kind: str, name: str) -> None:
        labs.change(self.lab, delete=[f"{API}/{kind}//{name}"])

    def open_from(self, target: str, *sources: str, port: str = "80/TCP") -> set[str]:
        """The sources that come through; what is denied is denied by its counter, and as the oracle predicts."""
        cluster = running.load_cluster(self.lab)
        asked = [
            flow
            for flow in flows(cluster, sources=sources, targets=[target], ports=[port])
            if f"{flow.port}/{flow.protocol}" == port
        ]
        predicted = Predictor(cluster).answer(asked)
        found = {one.flow: one for one in probed(Prober(cluster, timeout=(0.1, 0.3)), cluster, asked)}
        slow = [flow for flow in asked if not agree(predicted[flow], found[flow])]
        found |= {one.flow: one for one in probed(Prober(cluster), cluster, slow)} if slow else {}
        wrong = [f"{flow}: oracle {predicted[flow].outcome}, packets {one.outcome} {one.because}"
                 for flow, one in found.items() if not agree(predicted[flow], one)]  # fmt: skip
        assert not wrong, "\n".join(wrong)
        passed: dict[str, set[bool]] = {}
        for flow, one in found.items():
            passed.setdefault(flow.src.name.removeprefix("default/"), set()).add(one.outcome in ("open", "refused"))
        assert all(len(both) == 1 for both in passed.values()), "both families are the same"
        return {name for name, both in passed.items() if True in both}


OTHERS = ("client", "near", "far")


@pytest.mark.parametrize(
    "plane", ["vxlan", "host-gw", "flannel-vxlan", "calico-bgp", "calico-vxlan", "kindnet", "weave"]
)
def test_a_tier_holds_on_the_same_node_and_across(kit: Any, lab: str, plane: str) -> None:
    kit.up(kit.spec(lab, PODS, dataplane=plane, ipFamilies=["IPv4", "IPv6"]))
    bed = Bed(lab)
    bed.apply(CLOSED, OPENED)
    assert bed.open_from("server", "server", *OTHERS) == {"client", "server"}, "a Pod reaches itself"
    assert bed.open_from("server", *OTHERS, port="79/TCP") == set()
    assert bed.open_from("client", "server", "near") == {"server", "near"}, "replies pass, and others are not judged"
    assert bed.open_from("server", "node/node-1", "node/node-2") == {"node-1", "node-2"}, "no ingress peer is a node"
    assert not labs.diff(lab)[1].operations


def test_policies_of_tiers_come_and_go_in_a_running_lab(netlab: Any, kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, PODS, ipFamilies=["IPv4", "IPv6"]))
    bed = Bed(lab)
    assert bed.open_from("server", *OTHERS) == {*OTHERS}
    floor = cluster_policy("floor", "Baseline", 0, EVERYBODY, ingress=[{"action": "Deny", "from": [labelled("far")]}])
    bed.apply(floor)
    assert bed.open_from("server", *OTHERS) == {"client", "near"}
    plain = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "plain"},
             "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "far"}}}]}]}}  # fmt: skip
    bed.apply(plain)
    assert bed.open_from("server", *OTHERS) == {"far"}, "of an isolated Pod the Baseline tier is not asked"
    bed.apply(CLOSED)
    assert bed.open_from("server", *OTHERS) == set()
    bed.apply(OPENED)
    assert bed.open_from("server", *OTHERS) == {"client"}
    netlab("label", "--lab", lab, "pod", "near", "app=client", "--overwrite")
    assert bed.open_from("server", *OTHERS) == {"client", "near"}
    bed.apply({**OPENED, "spec": {**OPENED["spec"], "priority": 51}})
    assert bed.open_from("server", *OTHERS) == set(), "now it comes after the one that denies"
    bed.apply({**OPENED, "spec": {**OPENED["spec"], "tier": "Baseline"}})
    assert bed.open_from("server", *OTHERS) == set()
    netlab("delete", "--lab", lab, "anp", "closed")
    assert bed.open_from("server", *OTHERS) == {"far"}
    netlab("delete", "--lab", lab, "netpol", "plain")
    assert bed.open_from("server", *OTHERS) == {"client", "near"}, "the Baseline tier again"
    netlab("delete", "--lab", lab, "cnp", "floor", "opened")
    assert bed.open_from("server", *OTHERS) == {*OTHERS}
    assert "netlab-policy" not in kit.sh(f"ip netns exec {lab}-node-2 nft list ruleset"), "nothing is left"
    assert not labs.diff(lab)[1].operations


def test_the_labels_of_a_namespace_decide(kit: Any, netlab: Any, lab: str) -> None:
    kit.up(kit.spec(lab, PODS))
    bed, team = Bed(lab), {"namespaces": {"matchLabels": {"team": "a"}}}
    bed.apply(admin("teams", 5, EVERYBODY, ingress=[{"action": "Deny", "from": [team]}]))
    assert bed.open_from("server", *OTHERS) == {*OTHERS}
    netlab("label", "--lab", lab, "ns", "default", "team=a")
    assert bed.open_from("server", *OTHERS) == set()
    netlab("label", "--lab", lab, "ns", "default", "team-")
    assert bed.open_from("server", *OTHERS) == {*OTHERS}


def test_egress_to_nodes_networks_and_named_ports(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, PODS, external=[{"name": "internet", "address": "203.0.113.9", "ports": [443]}]))
    bed = Bed(lab)
    rules = [
        {"action": "Accept", "to": [{"nodes": {"matchLabels": {"kubernetes.io/hostname": "node-2"}}}],
         "protocols": [{"tcp": {"destinationPort": {"range": {"start": 10, "end": 20}}}}]},
        {"action": "Pass", "to": [labelled("near")]},
        {"action": "Deny", "to": [{"nodes": {}}, {"networks": ["0.0.0.0/0", "::/0"]}]},
    ]  # fmt: skip
    bed.apply(cluster_policy("out", "Admin", 5, labelled("client"), egress=rules))
    assert bed.open_from("node/node-2", "client", "far", port="15/TCP") == {"client", "far"}
    assert bed.open_from("node/node-2", "client", "far", port="21/TCP") == {"far"}
    assert bed.open_from("node/node-1", "client", "far", port="15/TCP") == {"far"}, "its own node as well"
    assert bed.open_from("near", "client") == {"client"}
    assert bed.open_from("server", "client", "far") == {"far"}
    assert bed.open_from("external/internet", "client", "far", port="443/TCP") == {"far"}


@pytest.mark.parametrize("deny", ["drop", "reject"])
def test_a_denial_has_the_rule_of_the_tier_as_evidence(kit: Any, netlab: Any, lab: str, deny: str) -> None:
    kit.up(kit.spec(lab, PODS, policy={"deny": deny}, ipFamilies=["IPv4", "IPv6"]))
    bed = Bed(lab)
    bed.apply(CLOSED, OPENED)
    found = netlab("reach", "--lab", lab, "--from", "far", "--to", "server", "-o", "json").json["flows"]
    assert {flow["outcome"] for flow in found} == {"denied"} and len(found) == 2
    because = [(one["policy"], one["rule"]) for flow in found for one in flow["because"]]
    assert because == [("AdminNetworkPolicy closed", "ingress[0]")] * 2
    assert bed.open_from("server", *OTHERS, port="53/UDP") == set()
    said = netlab("trace", "--lab", lab, "far", "server:80", check=1).stdout
    assert 'AdminNetworkPolicy closed ingress[0] "all" denies it' in " ".join(said.split())
    assert ("[reject]" in said) == (deny == "reject")
    rules = netlab("trace", "--lab", lab, "client", "server:80", "-o", "json").json
    judged = [each["policy"] for each in _rules(rules) if each.get("policy")]
    assert "ClusterNetworkPolicy opened" in judged
    assert not labs.diff(lab)[1].operations


def _rules(document: Any) -> list[Body]:
    """Every traversal of rules in a trace."""
    if isinstance(document, dict):
        own = [document] if {"hook", "chain", "policy"} <= document.keys() else []
        return own + [each for value in document.values() for each in _rules(value)]
    return [each for value in document for each in _rules(value)] if isinstance(document, list) else []


def test_established_drop_cuts_what_a_tier_denies_and_nothing_else(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab, PODS, policy={"established": "drop"}))
    bed = Bed(lab)
    bed.apply(CLOSED, OPENED)
    assert bed.open_from("server", *OTHERS) == {"client"}, "the reply is judged by its connection's own ends"
    back = admin("back", 1, labelled("client"), ingress=[{"action": "Deny", "from": [EVERYBODY]}])
    bed.apply(back)
    assert bed.open_from("server", *OTHERS) == {"client"}


def test_a_service_is_judged_at_its_backend_also_by_the_backend_itself(kit: Any, lab: str) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"},
               "spec": {"selector": {"app": "server"}, "ports": [{"port": 8000, "targetPort": 80}]}}  # fmt: skip
    kit.up(kit.spec(lab, PODS) + "\n---\n" + json.dumps(service))
    bed = Bed(lab)
    bed.apply(CLOSED, OPENED)
    assert bed.open_from("svc/front", "server", *OTHERS, port="8000/TCP") == {"client"}


def test_describe_counts_what_each_rule_decided(kit: Any, netlab: Any, lab: str) -> None:
    kit.up(kit.spec(lab, PODS))
    bed = Bed(lab)
    bed.apply(CLOSED, OPENED)
    assert bed.open_from("server", *OTHERS) == {"client"}
    listed = netlab("get", "--lab", lab, "adminnetworkpolicies").stdout.splitlines()
    assert listed[0].split() == ["NAME", "PRIORITY", "AGE"] and listed[1].split()[:2] == ["closed", "50"]
    listed = netlab("get", "--lab", lab, "cnp").stdout.splitlines()
    assert listed[0].split() == ["NAME", "TIER", "PRIORITY", "AGE"]
    assert listed[1].split()[:3] == ["opened", "Admin", "9"]
    told = netlab("describe", "--lab", lab, "anp", "closed").stdout
    assert "Kind:         AdminNetworkPolicy" in told and "Selects:      default/server" in told
    counted = next(line.split() for line in told.splitlines() if line.startswith("  ingress[0] "))
    assert counted[2:4] == ["packets", "denied"] and int(counted[1]) >= 2


@pytest.mark.xdist_group("netlab-test")
def test_netlab_test_has_stand_ins_for_tiers_and_names_the_tier_that_denies(netlab: Any, tmp_path: Any) -> None:
    watchers = {
        "pods": {
            "namespaceSelector": {"matchLabels": {"team": "watch"}},
            "podSelector": {"matchLabels": {"app": "prom"}},
        }
    }
    let = {"action": "Allow", "from": [watchers], "ports": [{"portNumber": {"port": 80}}]}
    deny = {"name": "rest", "action": "Deny", "from": [EVERYBODY]}
    web = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}},
           "spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]}}  # fmt: skip
    manifests, expect = tmp_path / "set.yaml", tmp_path / "expect.yaml"
    manifests.write_text("\n---\n".join(map(json.dumps, [web, admin("guard", 5, EVERYBODY, ingress=[let, deny])])))
    expect.write_text(
        "flows:\n- {from: watch/prom, to: web, port: 80, expect: allow}\n- {from: stranger, to: web, port: 80, expect: allow}\n"
    )
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "watch", "labels": {"team": "watch"}}}
    manifests.write_text(f"{manifests.read_text()}\n---\n{json.dumps(space)}")
    said = netlab("test", "-f", manifests, "--expect", expect, check=1).stdout
    assert "1 workload, 1 policy" in said
    assert (
        said.count("FAIL stranger (stand-in) -> web:80: expected allow, got denied") == 1 and "FAIL watch" not in said
    )
    assert 'denied by AdminNetworkPolicy guard ingress[1] "rest"' in said
    assert "nearest is AdminNetworkPolicy guard ingress[0]" in said
    expect.write_text("flows: [{from: watch/prom, to: web, port: 80, expect: allow}]\n")
    netlab("test", "-f", manifests, "--expect", expect)


def test_changes_of_a_tier_cut_nothing_and_open_nothing_under_load(kit: Any, lab: str) -> None:
    """New connections all the time, while policies that judge the same Pod come, change and go."""
    kit.up(kit.spec(lab, PODS))
    bed = Bed(lab)
    bed.apply(CLOSED, OPENED)
    address = str(running.load_cluster(lab).pods[1].addresses[0].ip)
    stop, made, wrong = threading.Event(), [0], []

    def load(source: str, passes: bool, timeout: float) -> None:
        worker = ns.Worker()

        def connect() -> None:
            fd = ns.open_named(f"{lab}-{source}")
            with ns.inside(fd):
                while not stop.is_set():
                    try:
                        socket.create_connection((address, 80), timeout).close()  # a lost SYN is sent again after 1 s
                        made[0] += passes
                        passed = True
                    except OSError:
                        passed = False
                    if passed != passes:
                        wrong.append(source)

        worker.run(connect)
        worker.close()

    threads = [threading.Thread(target=load, args=args) for args in (("client", True, 0.9), ("far", False, 0.02))]
    for thread in threads:
        thread.start()
    nobody = {"action": "Deny", "from": [labelled("nobody")]}
    for priority in range(6):
        bed.apply(
            admin("before", priority, EVERYBODY, ingress=[nobody, {"action": "Pass", "from": [labelled("other")]}])
        )
        bed.apply(admin("before", priority, labelled("server"), ingress=[nobody]))
        bed.delete("AdminNetworkPolicy", "before")
    stop.set()
    for thread in threads:
        thread.join()
    assert made[0] > 100 and not wrong
