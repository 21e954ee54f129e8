"""Policies and translated packets: Services, node ports, hostPorts, masquerading.  Rules see them after the destination
is translated and before the source is, on each node for itself.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime import lab as labs
from netlab.runtime.state import running

pytestmark = pytest.mark.kernel

Spec = dict[str, Any]
WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
OUTSIDE = "203.0.113.9"
VIP, NODE_PORT, LOCAL_PORT, HOST_PORT = "10.96.0.80", 30080, 30081, 8080
BLOCKS = {  # who is meant, by the address that rules see
    "node-1": ["172.18.0.2/32", "10.244.1.0/31"],  # its eth0, its tunnel and its bridge
    "node-2": ["172.18.0.3/32", "10.244.2.0/31"],
    "outside": [f"{OUTSIDE}/32"],
    "near": ["10.244.2.3/32"],
    "far": ["10.244.1.2/32"],
}


def objects(lab: str, plane: str) -> str:
    """web is on node-2; near is beside it, far on node-1."""
    nodes = [{"name": "node-1"}, {"name": "node-2"}]
    outside = [{"name": "internet", "address": OUTSIDE}]
    spec = {"dataplane": plane, "nodes": nodes, "external": outside}
    ports = [{"name": "http", "containerPort": 80, "hostPort": HOST_PORT}]

    def pod(name: str, node: str, **more: Any) -> Spec:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
                "spec": {"nodeName": node, "containers": [{"name": "c", "image": "x", **more}]}}  # fmt: skip

    def service(name: str, kind: str, **more: Any) -> Spec:
        node_port = {"nodePort": more.pop("port")} if "port" in more else {}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"type": kind, "selector": {"app": "web"}, **more,
                         "ports": [{"port": 8000, "targetPort": "http", **node_port}]}}  # fmt: skip

    return "\n---\n".join(map(json.dumps, [
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": spec},
        pod("far", "node-1"), pod("web", "node-2", ports=ports), pod("near", "node-2"),
        service("vip", "ClusterIP", clusterIP=VIP),
        service("everywhere", "NodePort", port=NODE_PORT),
        service("local", "NodePort", port=LOCAL_PORT, externalTrafficPolicy="Local"),
    ]))  # fmt: skip


class Bed:
    """A lab in which policies come and go; ``opens`` says who gets through, and that oracle and packets agree."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.known: set[str] = set()

    def policies(self, **specs: Spec) -> None:
        gone = [f"networking.k8s.io/NetworkPolicy/default/{name}" for name in self.known - specs.keys()]
        if gone:
            labs.change(self.lab, delete=gone)
        texts = [
            (f"{name}.json", json.dumps({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                                         "metadata": {"name": name}, "spec": spec}))
            for name, spec in specs.items()
        ]  # fmt: skip
        labs.change(self.lab, add=texts)
        self.known = set(specs)

    def opens(self, *ways: tuple[str, int]) -> list[set[str]]:
        """Of each target and port, the sources that come through."""
        cluster = running.load_cluster(self.lab)
        sources = ["far", "near", "web", "node/node-1", "node/node-2", "external/internet"]
        asked = [
            [flow for flow in flows(cluster, sources=sources, targets=[target], ports=[f"{port}/TCP"])
             if flow.port == port]
            for target, port in ways
        ]  # fmt: skip
        everything = [flow for each in asked for flow in each]
        predicted = Predictor(cluster).answer(everything)
        found = {one.flow: one for one in probed(Prober(timeout=(0.05, 0.2)), cluster, everything)}
        slow = [flow for flow in everything if not agree(predicted[flow], found[flow])]
        found |= {one.flow: one for one in probed(Prober(cluster), cluster, slow)} if slow else {}
        wrong = [f"{flow}: oracle {predicted[flow].outcome}, packets {one.outcome} {one.because}"
                 for flow, one in found.items() if not agree(predicted[flow], one)]  # fmt: skip
        assert not wrong, "\n".join(wrong)
        return [
            {flow.src.name.removeprefix("default/") for flow in each if found[flow].outcome == "open"} for each in asked
        ]


VIA_1, VIA_2 = ("node/node-1", NODE_PORT), ("node/node-2", NODE_PORT)
LOCAL, HOST, SERVICE = ("node/node-2", LOCAL_PORT), ("node/node-2", HOST_PORT), ("svc/vip", 8000)
WAYS = (SERVICE, VIA_1, VIA_2, LOCAL, HOST)
OWN = {"node-2"}  # web's own node, which is always let in


@pytest.mark.parametrize("plane", ["vxlan", "kindnet"])
def test_what_rules_see_of_translated_packets(kit: Any, lab: str, plane: str) -> None:
    kit.up(objects(lab, plane))
    bed = Bed(lab)

    def let_in(who: str) -> list[set[str]]:
        blocks = [{"ipBlock": {"cidr": one}} for one in BLOCKS[who]]
        bed.policies(p={**WEB, "ingress": [{"from": blocks}]})
        return [found - (OWN if way != VIA_1 else set()) for way, found in zip(WAYS, bed.opens(*WAYS), strict=True)]

    # Whoever came by the other node's port is seen as that node, since it masquerades; its own port comes as it is.
    everybody = {"far", "near", "web", "node-1", "node-2", "internet"}
    assert let_in("node-1") == [{"node-1"}, everybody, {"far", "node-1"}, {"far", "node-1"}, {"far", "node-1"}]
    # A Pod beside it comes as itself, one of another node is masqueraded by its own node before it asks for this one.
    assert let_in("near") == [{"near"}, set(), {"near"}, {"near"}, {"near"}]
    assert let_in("far") == [{"far"}, set(), set(), set(), set()]
    # The node's own block lets nobody in: what its port masquerades is judged before.
    assert let_in("node-2") == [set()] * 5
    assert let_in("outside") == [set(), set(), {"internet"}, {"internet"}, {"internet"}]

    # A Pod's own Service is no way around its policies: the packet leaves the Pod, unlike one to its own address.
    bed.policies(p={**WEB, "ingress": []})
    assert bed.opens(("web", 80), SERVICE) == [OWN | {"web"}, OWN]
    bed.policies(p={**WEB, "ingress": [{"from": [WEB]}]})
    assert bed.opens(SERVICE) == [OWN | {"web"}]

    # Egress is judged on the source's node, with whatever it knows: the backend where it translates itself, else the
    # other node's address and port.
    both = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["near", "far"]}]}
    bed.policies(e={"podSelector": both, "policyTypes": ["Egress"], "egress": [{"to": [WEB], "ports": [{"port": 80}]}]})
    assert [one & {"near", "far"} for one in bed.opens(*WAYS)] == [
        {"near", "far"}, {"far"}, {"near"}, {"near"}, {"near"},
    ]  # fmt: skip
    node = [{"ipBlock": {"cidr": "172.18.0.3/32"}}]
    bed.policies(e={"podSelector": both, "policyTypes": ["Egress"], "egress": [{"to": node}]})
    assert [one & {"near", "far"} for one in bed.opens(*WAYS)] == [set(), set(), {"far"}, {"far"}, {"far"}]
    # The address of a Service, or its port, is never what is judged.
    for wrong in ({"to": [{"ipBlock": {"cidr": f"{VIP}/32"}}]}, {"ports": [{"port": 8000}]}):
        bed.policies(e={"podSelector": both, "policyTypes": ["Egress"], "egress": [wrong]})
        assert not bed.opens(SERVICE)[0] & {"near", "far"}


def test_a_stale_connection_is_judged_by_its_real_ends(kit: Any, lab: str) -> None:
    """With ``established: drop`` it is the connection's ends that count, also of a translated one."""
    text = objects(lab, "vxlan").replace('"external"', '"policy": {"established": "drop"}, "external"', 1)
    kit.up(text)
    bed = Bed(lab)
    bed.policies(p={**WEB, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "far"}}}]}]})
    assert bed.opens(SERVICE, ("web", 80)) == [OWN | {"far"}, OWN | {"far", "web"}]
