"""Predicted without a packet, then taken by one: the way of flows of every kind, on every data plane.

Each lab has three nodes, Services of every type, a hostPort, a hostNetwork Pod, a host outside and a policy; of all its
flows a few are drawn, and traced.  A flow that is answered must have taken the predicted way there and back, with the
predicted source; of one that is not, the trace must say why.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
import yaml

from netlab.diagnose.expected.expect import Expecter
from netlab.diagnose.findings import findings
from netlab.diagnose.report import lines
from netlab.diagnose.story import tell
from netlab.evidence.records import DROPS
from netlab.observe.trace.record import Request, record
from netlab.oracle.flow import Outcome
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime import lab as labs
from netlab.runtime.state import running
from netlab.runtime.state.rundir import Applied
from tests.conftest import RUN

pytestmark = pytest.mark.kernel

DRAWN = 10  # flows of a lab
OUTSIDE = {"IPv4": "203.0.113.10", "IPv6": "2001:db8:99::10"}
RACKS = {"underlay": {"kind": "routed", "learnsPodRoutes": True}}
LABS = [
    ("vxlan", ["IPv4"], {}),
    ("host-gw", ["IPv6"], {}),
    ("flannel-vxlan", ["IPv6"], {}),
    ("calico-bgp", ["IPv4", "IPv6"], RACKS),
    ("calico-vxlan", ["IPv6"], {}),
    ("kindnet", ["IPv4"], {}),
    ("weave", ["IPv4", "IPv6"], RACKS),
]


def pod(name: str, node: str, app: str, **port: Any) -> dict[str, Any]:
    ports = [{"containerPort": 80, "name": "http", **port}, {"containerPort": 53, "protocol": "UDP", "name": "dns"}]
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "x", "ports": ports}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def service(name: str, app: str, **spec: Any) -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
    ]
    spec = {"selector": {"app": app}, "ipFamilyPolicy": "PreferDualStack", "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def text(name: str, plane: str, families: list[str], more: dict[str, Any]) -> str:
    racks = ("ra", "ra", "rb") if "underlay" in more else ("", "", "")
    nodes = [{"name": f"node-{n + 1}"} | ({"rack": rack} if rack else {}) for n, rack in enumerate(racks)]
    outside = {"name": "internet", "addresses": [OUTSIDE[one] for one in families]}
    spec = {"dataplane": plane, "ipFamilies": families, "nodes": nodes, "external": [outside], **more}
    host = pod("host", "node-2", "h")
    host["spec"] |= {"hostNetwork": True}
    rules = {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}]}
    policy = {"podSelector": {"matchLabels": {"app": "g"}}, "policyTypes": ["Ingress", "Egress"], **rules}
    meta = {"name": "guard"}
    return yaml.safe_dump_all(
        [
            {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": name}, "spec": spec},
            pod("a1", "node-1", "a"),
            pod("b1", "node-1", "b"),
            pod("a2", "node-2", "a"),
            pod("b3", "node-3", "b", hostPort=8088),
            pod("g3", "node-3", "g"),
            host,
            service("cluster", "a"),
            service("node-port", "b", type="NodePort"),
            service("balanced", "b", type="LoadBalancer"),
            service("local", "a", type="NodePort", externalTrafficPolicy="Local"),
            service("nobody", "z"),
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": policy},
        ]
    )


@pytest.mark.parametrize(("plane", "families", "more"), LABS, ids=lambda one: one if isinstance(one, str) else "")
def test_ways_are_taken_as_predicted(plane: str, families: list[str], more: dict[str, Any]) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    name = f"t{RUN}w{worker}w{LABS.index((plane, families, more))}"
    labs.up(Applied("/somewhere/lab.yaml", name, (("lab.yaml", text(name, plane, families, more)),)))
    try:
        lab = running.load_running(name)
        expecter, predictor = Expecter(lab.cluster, lab.want), Predictor(lab.cluster)
        asked = [one for one in flows(lab.cluster) if one.protocol != "SCTP"]
        answered = 0
        for flow in random.Random(plane).sample(asked, DRAWN):
            predicted = next(iter(predictor.predict([flow])))
            request = Request(flow.src.netns, flow.protocol, flow.address, flow.port)
            story = tell(record(name, request, sorted(lab.want.netns()), patience=0.6), lab.cluster, lab.want)
            told = findings(story)
            seen = "\n".join(lines(story, told))
            if predicted.outcome is Outcome.DENIED and story.source(DROPS).on:
                assert told, seen
                assert told[0].kind == "policy", seen
            if story.recording.probe.outcome != "open":
                assert told, seen
                continue
            answered += 1
            assert (told, story.request_left, story.reply_left) == ((), None, None), seen
            # Of a Service with several backends only the packet knows which was chosen.
            way = expecter.round_trip(flow, backend=story.round_trip.backend)
            assert way.request.hops == story.round_trip.request.hops, seen
            assert way.seen_as == story.round_trip.seen_as, seen
            assert way.reply == story.round_trip.reply, seen
        assert answered > DRAWN // 4, "many flows of such a lab are open"
    finally:
        labs.down(name)
