"""NetworkPolicy's semantics by real packets, oracle and counters in one: what the corpora leave out.

One dual-stack lab a data plane; policies change live.  ``bed.says`` asks each flow, holds the oracle against it, and
gives those that came through.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.kernel.host import netns as ns
from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.flow import Outcome
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime import lab as labs
from netlab.runtime.state import running

pytestmark = pytest.mark.kernel

Spec = dict[str, Any]
SERVER = {"podSelector": {"matchLabels": {"app": "server"}}}
CLIENT = {"podSelector": {"matchLabels": {"app": "client"}}}
FRAGMENTS = 4000  # bytes of a datagram that no link here carries whole
LONG = {"name": "n" * 253, "labels": {f"{'a' * 63}.{'b' * 63}/{'C' * 63}": "v" * 63}}


def objects(lab: str, plane: str) -> str:
    """server and far on node-2, client and near on node-1, each twin with other port numbers; other in namespace shop."""
    spec = {"dataplane": plane, "ipFamilies": ["IPv4", "IPv6"], "nodes": [{"name": "node-1"}, {"name": "node-2"}]}

    def pod(name: str, node: str, *ports: Spec, namespace: str = "default", **more: Any) -> Spec:
        labels = {"app": name, **LONG["labels"]} if name == "far" else {"app": name}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
                "spec": {"nodeName": node, "containers": [{"name": "c", "image": "x", "ports": list(ports)}], **more}}  # fmt: skip

    web = [{"name": "web", "containerPort": 80}, {"name": "say", "containerPort": 80, "protocol": "UDP"},
           {"name": "sctp", "containerPort": 80, "protocol": "SCTP"}]  # fmt: skip
    side = {"name": "s", "image": "x", "restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 15021}]}
    return "\n---\n".join(map(json.dumps, [
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": spec},
        pod("client", "node-1"), pod("server", "node-2", *web, initContainers=[side]),
        pod("near", "node-1"), pod("far", "node-2", {"name": "web", "containerPort": 8080}),
        pod("other", "node-1", namespace="shop"),
        pod("host", "node-1", hostNetwork=True), pod("beside", "node-2", hostNetwork=True),
    ]))  # fmt: skip


class Bed:
    """A running lab whose policies are those that were given last."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self._known: set[str] = set()

    def policies(self, *specs: Spec) -> None:
        texts = {}
        for number, one in enumerate(specs):
            metadata = one.pop("metadata", {"name": f"p{number}"})
            body = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": one}
            texts[f"{metadata.get('namespace', 'default')}/{metadata['name']}"] = json.dumps(body)
        if gone := self._known - texts.keys():
            labs.change(self.lab, delete=[f"networking.k8s.io/NetworkPolicy/{name}" for name in gone])
        labs.change(self.lab, add=[(f"{name.replace('/', '-')[:90]}.json", text) for name, text in texts.items()])
        self._known = set(texts)

    def says(self, sources: list[str], target: str, *ports: str) -> set[str]:
        """``client 80/TCP`` and, of IPv6, ``client6 80/TCP``: the flows that came through."""
        cluster = running.load_cluster(self.lab)
        asked = [flow for flow in flows(cluster, sources=sources, targets=[target], ports=ports)
                 if not ports or f"{flow.port}/{flow.protocol}" in ports]  # fmt: skip
        predicted = Predictor(cluster).answer(asked)
        found = {one.flow: one for one in probed(Prober(timeout=(0.05, 0.15)), cluster, asked)}
        slow = [flow for flow, one in found.items() if one.outcome != predicted[flow].outcome]
        found |= {one.flow: one for one in probed(Prober(), cluster, slow)} if slow else {}
        wrong = [f"{flow}: oracle {predicted[flow].outcome}, packets {one.outcome} {one.because}"
                 for flow, one in found.items() if one.outcome != predicted[flow].outcome]  # fmt: skip
        assert not wrong, "\n".join(wrong)
        passed = (Outcome.OPEN, Outcome.REFUSED)
        return {
            f"{flow.src.name.rpartition('/')[2]}{'6' if ':' in flow.address else ''} {flow.port}/{flow.protocol}"
            for flow, one in found.items()
            if one.outcome in passed
        }

    def address(self, name: str, version: int = 4) -> str:
        pod = next(pod for pod in running.load_cluster(self.lab).pods if pod.name == name)
        return next(str(one.ip) for one in pod.addresses if one.version == version)


@pytest.fixture(params=["vxlan", "calico-bgp"])
def bed(kit: Any, lab: str, request: pytest.FixtureRequest) -> Iterator[Bed]:
    kit.up(objects(lab, request.param))
    return Bed(lab)


EVERYBODY = ["client", "near", "far", "shop/other", "node/node-1", "node/node-2", "host", "beside", "server"]
OWN = {"node-2 80/TCP", "node-26 80/TCP", "beside 80/TCP", "beside6 80/TCP", "server 80/TCP", "server6 80/TCP"}


def both(*names: str, port: str = "80/TCP") -> set[str]:
    return {f"{name}{family} {port}" for name in names for family in ("", "6")}


def test_who_is_let_in(bed: Bed) -> None:
    """Peers: namespaces and Pods, blocks of one family, nodes, the host's network, rules that match nobody."""

    def let_in(*rules: Spec) -> set[str]:
        bed.policies({**SERVER, "ingress": list(rules)})
        return bed.says(EVERYBODY, "server", "80/TCP") - OWN

    assert let_in() == set(), "the Pod's own node, those in its network, and the Pod itself"
    assert let_in({"from": []}) == both("client", "near", "far", "other", "node-1", "host")
    assert let_in({"from": [{"podSelector": {}}]}) == both("client", "near", "far")
    assert let_in({"from": [{"namespaceSelector": {}}]}) == both("client", "near", "far", "other")
    shop = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    assert let_in({"from": [shop]}) == both("other")
    assert let_in({"from": [{**shop, **CLIENT}]}) == set()
    assert let_in({"from": [shop, CLIENT]}) == both("other", "client")
    long = {"podSelector": {"matchLabels": LONG["labels"]}}
    assert let_in({"from": [long]}, {"ports": [{"port": "no-such"}]}, {"ports": [{"protocol": "SCTP"}]}) == both("far")
    # A block is of its family: what is isolated by one of IPv4 alone is closed to IPv6.
    everything = {"ipBlock": {"cidr": "0.0.0.0/0", "except": [f"{bed.address('near')}/32", "172.18.0.0/16"]}}
    assert {one for one in let_in({"from": [everything]}) if "6 " not in one} >= {
        "client 80/TCP",
        "far 80/TCP",
        "other 80/TCP",
    }
    assert not {one for one in let_in({"from": [everything]}) if "near" in one or "6 " in one}
    assert let_in({"from": [{"ipBlock": {"cidr": "::/0"}}]}) == {"client6 80/TCP", "near6 80/TCP", "far6 80/TCP", "other6 80/TCP",
                                                                "node-16 80/TCP", "host6 80/TCP"}  # fmt: skip
    overlapping = [
        {"ipBlock": {"cidr": one}} for one in ("10.244.1.0/24", "10.244.0.0/16", "10.244.1.77/25", "10.0.0.0/8")
    ]
    assert let_in({"from": overlapping}) >= {"client 80/TCP", "near 80/TCP", "far 80/TCP", "other 80/TCP"}


def test_which_ports_are_open(bed: Bed) -> None:
    """Names, ranges, protocols, in both directions; a name is the destination's."""
    asked = ("79/TCP", "80/TCP", "81/TCP", "80/UDP", "80/SCTP", "15021/TCP")

    def open_to(*ports: Spec) -> set[str]:
        bed.policies({**SERVER, "ingress": [{"from": [CLIENT], "ports": list(ports)}]})
        return bed.says(["client"], "server", *asked)

    assert open_to({}) == both("client", port="79/TCP") | both("client") | both("client", port="81/TCP") | both(
        "client", port="15021/TCP"
    )
    assert open_to({"port": 80}) == both("client")
    assert open_to({"port": 80, "protocol": "SCTP"}) == both("client", port="80/SCTP")
    assert open_to({"port": "web"}, {"port": "side"}) == both("client") | both("client", port="15021/TCP")
    assert open_to({"port": "say", "protocol": "UDP"}, {"port": "web", "protocol": "UDP"}) == both(
        "client", port="80/UDP"
    )
    assert open_to({"port": 79, "endPort": 80}, {"port": 80, "endPort": 80}, {"port": "side"}) == (
        both("client", port="79/TCP") | both("client") | both("client", port="15021/TCP")
    )
    # Egress: the name is each destination's own, so twins differ; without `to` it is every Pod's, and nothing else.
    for to in ({}, {"to": [SERVER, {"podSelector": {"matchLabels": {"app": "far"}}}]}):
        bed.policies({**CLIENT, "policyTypes": ["Egress"], "egress": [{**to, "ports": [{"port": "web"}]}]})
        assert bed.says(["client"], "server", "80/TCP", "8080/TCP") == both("client")
        assert bed.says(["client"], "far", "80/TCP", "8080/TCP") == both("client", port="8080/TCP")
        assert bed.says(["client"], "node/node-2", "80/TCP") == set()


def test_answers_and_errors_pass(bed: Bed, kit: Any) -> None:
    """What belongs to an allowed connection passes against the other direction's isolation, ICMP errors too."""
    deny_out = {**SERVER, "policyTypes": ["Egress"]}
    bed.policies({"metadata": dict(LONG), "podSelector": {"matchLabels": LONG["labels"]}}, deny_out)
    assert bed.says(["client"], "server", "80/TCP", "80/UDP", "80/SCTP") == both("client") | both(
        "client", port="80/UDP"
    ) | both("client", port="80/SCTP")
    assert bed.says(["client"], "server", "9/UDP") == both("client", port="9/UDP"), "port unreachable is the answer"
    assert bed.says(["server"], "client", "80/TCP") == set()
    assert bed.says(["server"], "node/node-2", "9/TCP") == set(), "its own node, too"
    assert bed.says(["client"], "far", "8080/TCP") == set(), "names of any length are no way around"
    # Without policies nothing of them is left.
    bed.policies()
    assert bed.says(["server"], "client", "9/TCP") == both("server", port="9/TCP")
    for node in (1, 2):
        assert "netlab-policy" not in kit.sh(f"ip netns exec {bed.lab}-node-{node} nft list tables")


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_are_judged_as_the_datagrams_they_are(bed: Bed, version: int) -> None:
    allowed = {"port": 7000, "endPort": 7001, "protocol": "UDP"}
    bed.policies({**SERVER, "ingress": [{"from": [CLIENT], "ports": [allowed]}]})
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    address = bed.address("server", version)

    def bound(port: int) -> socket.socket:
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        receiver.bind(("::" if version == 6 else "0.0.0.0", port))
        receiver.settimeout(0.3)
        return receiver

    def send(port: int) -> None:
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x" * FRAGMENTS, (address, port))

    worker = ns.Worker()

    def inside(pod: str, make: Any) -> Any:
        def call() -> Any:
            with ns.inside(ns.open_named(f"{bed.lab}-{pod}")):
                return make()

        return worker.run(call)

    try:
        with inside("server", lambda: bound(7001)) as receiver, inside("server", lambda: bound(7002)) as denied:
            inside("client", lambda: send(7001))
            inside("client", lambda: send(7002))
            receiver.settimeout(60)
            assert len(receiver.recv(FRAGMENTS + 1)) == FRAGMENTS
            with pytest.raises(TimeoutError):
                denied.recv(10)
    finally:
        worker.close()


def test_a_denied_packet_is_dropped_without_a_word(bed: Bed) -> None:
    """A refusal would tell a scanner that somebody is there."""
    bed.policies({**SERVER, "ingress": []})
    asked = list(
        flows(running.load_cluster(bed.lab), sources=["client"], targets=["server"], ports=["79/TCP", "9/UDP"])
    )
    assert {one.outcome for one in Prober(timeout=(0.05, 0.1)).probe(asked)} == {Outcome.TIMEOUT}
