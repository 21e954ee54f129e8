"""SCTP on every path: open where somebody listens, refused where nobody does, predicted and observed alike."""

from __future__ import annotations

import errno
import sys
from typing import Any

import pytest

from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime.state.running import load_cluster
from tests.kernel.services.conftest import Lab, service

pytestmark = pytest.mark.kernel

LISTENS, NOBODY = 9, 99
OUTSIDE = {"external": [{"name": "out", "address": "203.0.113.10"}]}
LAB = {
    "ipFamilies": ["IPv4", "IPv6"],
    "external": [
        {"name": "out", "addresses": ["203.0.113.10", "2001:db8::10"], "ports": ["9/SCTP"]},
        {"name": "still", "addresses": ["203.0.113.11", "2001:db8::11"], "ports": ["80"]},
    ],
}


def pod(name: str, node: str, port: int, protocol: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "x", "ports": [{"containerPort": port, "protocol": protocol}]}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeName": node, "containers": containers, **spec}}  # fmt: skip


# Pods with an SCTP listener and without, on both nodes; a hostNetwork Pod with one on node-2 alone.
PODS = [
    pod("a", "node-1", LISTENS, "SCTP"),
    pod("b", "node-2", LISTENS, "SCTP"),
    pod("tcp-1", "node-1", 80, "TCP"),
    pod("tcp-2", "node-2", 80, "TCP"),
    pod("host", "node-2", LISTENS, "SCTP", hostNetwork=True),
    pod("plain", "node-1", 80, "TCP", hostNetwork=True),
]


def sctp(name: str, app: str, target: int, node_port: int) -> dict[str, Any]:
    port = {"port": 700, "protocol": "SCTP", "targetPort": target, "nodePort": node_port}
    return service(name, app, port, type="NodePort", ipFamilyPolicy="PreferDualStack")


SERVICES = [
    sctp("right", "a", LISTENS, 30001),
    sctp("wrong", "a", NOBODY, 30002),
    sctp("wrong-tcp", "tcp-2", NOBODY, 30003),
    sctp("on-host", "host", LISTENS, 30004),
    sctp("on-plain", "plain", NOBODY, 30005),
    sctp("empty", "nobody", LISTENS, 30006),
]
NODES = ["node/node-1", "node/node-2"]
EVERYONE = [*(one["metadata"]["name"] for one in PODS), *NODES, "external/out", "external/still"]
NODE_PORTS = tuple(f"{port}/SCTP" for port in range(30001, 30008))


def asked(cluster: Any) -> list[Flow]:
    ends = dict.fromkeys(flows(cluster, sources=EVERYONE, targets=EVERYONE, ports=("9/SCTP", "99/SCTP")))
    ends |= dict.fromkeys(
        flows(cluster, sources=EVERYONE, targets=[f"svc/{one['metadata']['name']}" for one in SERVICES])
    )
    ends |= dict.fromkeys(flows(cluster, sources=EVERYONE, targets=NODES, ports=NODE_PORTS))
    return [one for one in ends if one.protocol == "SCTP"]


def told(flow: Flow, wanted: Verdict, got: Verdict) -> str:
    return f"{flow}: predicted {wanted.outcome} of {wanted.server}, got {got.outcome} of {got.server} {got.because}"


def test_a_port_without_a_listener_refuses_on_every_path(lab: Lab) -> None:
    lab.up({}, *PODS, *SERVICES, **LAB)
    cluster = load_cluster(lab.name)
    cells = asked(cluster)
    predicted = Predictor(cluster).answer(cells)
    for _ in range(2):  # all at once, so that sources are asked while they ask
        observed = Prober(cluster).answer(cells)
        wrong = [told(one, predicted[one], observed[one]) for one in cells if not agree(predicted[one], observed[one])]
        assert not wrong, f"{len(wrong)} of {len(cells)}\n" + "\n".join(wrong)
    closed = [predicted[one].outcome for one in cells if one.port == NOBODY and one.dst.kind != "service"]
    assert closed
    # A Pod that declares no SCTP port answers on those that Services name (tcp-2, plain).
    assert set(closed) == {Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.OPEN}, "nobody is silent"
    assert closed.count(Outcome.REFUSED) > closed.count(Outcome.OPEN)


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
def test_a_wrong_target_port_refuses_what_comes_from_outside_on_either_node(lab: Lab, protocol: str) -> None:
    port = {"port": 700, "protocol": protocol, "targetPort": NOBODY, "nodePort": 30001}
    lab.up({}, pod("a", "node-1", LISTENS, protocol), service("wrong", "a", port, type="NodePort"), **OUTSIDE)
    cluster = load_cluster(lab.name)
    cells = list(flows(cluster, sources=["external/out", *NODES], targets=NODES, ports=[f"30001/{protocol}"]))
    cells = [one for one in cells if one.port == 30001]
    assert len(cells) == 6
    observed = Prober(cluster).answer(cells)
    assert {one.outcome for one in Predictor(cluster).answer(cells).values()} == {Outcome.REFUSED}
    assert {one.outcome for one in observed.values()} == {Outcome.REFUSED}


@pytest.mark.needs("sctp")
def test_a_program_with_a_socket_of_the_kernel_reaches_an_sctp_service(lab: Lab) -> None:
    lab.up({}, *PODS[:2], *SERVICES[:2], **LAB)
    assert lab.netlab("diff", "-o", "json").json["operations"] == []
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)\n"
        "s.settimeout(30)\n"
        "print(s.connect_ex((sys.argv[1], int(sys.argv[2]))))\n"
    )
    pod_address = lab.netlab("get", "pod", "a", "-o", "jsonpath={.status.podIP}").stdout
    targets = [(pod_address, LISTENS), (lab.address("right"), 700), (pod_address, NOBODY)]
    errors = [lab.sh("b", sys.executable, "-I", "-c", program, to, str(port)).strip() for to, port in targets]
    assert errors == ["0", "0", str(errno.ECONNREFUSED)]
