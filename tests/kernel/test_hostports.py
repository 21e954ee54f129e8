"""hostPort with real packets: from outside, from other nodes and their Pods, from the node, from the Pod itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.planes import ROWS
from tests.tables import part

pytestmark = pytest.mark.kernel

PLANES = ["bridge", "vxlan", "host-gw", "flannel-vxlan", "calico-bgp", "calico-vxlan", "kindnet", "weave"]


def kind(plane: str) -> tuple[str, bool]:
    """Planes whose nodes lead alike to a Pod's link."""
    return ROWS[plane].bridge, ROWS[plane].veth_gateways


PORTS = [
    {"containerPort": 80, "hostPort": 8080},
    {"containerPort": 53, "hostPort": 5353, "protocol": "UDP"},
    {"containerPort": 3868, "hostPort": 3868, "protocol": "SCTP"},
    {"containerPort": 81, "hostPort": 8081, "hostIP": "127.0.0.1"},
]
ASK = """
import http.client, sys
try:
    asked = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=2)
    asked.request("GET", "/")
    print(asked.getresponse().read().decode())
except OSError as error:
    print('{"error": "%s"}' % type(error).__name__)
"""


def pod(name: str, node: str, ports: list[dict[str, Any]]) -> dict[str, Any]:
    containers = [{"name": "main", "image": "x", "ports": ports}]
    spec = {"nodeName": node, "containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def spec(lab: str, dataplane: str, *more: dict[str, Any]) -> str:
    outside = [{"name": "internet", "addresses": ["203.0.113.10", "2001:db8::10"]}]
    body = {
        "dataplane": dataplane,
        "ipFamilies": ["IPv4", "IPv6"],
        "nodes": [{"name": "node-1"}, {"name": "node-2"}],
        "external": outside,
    }
    head = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": body}
    pods = [pod("web", "node-1", PORTS), pod("near", "node-1", []), pod("far", "node-2", [])]
    return "\n---\n".join(map(json.dumps, (head, *pods, *more)))


def ask(netns: str, address: str, port: int) -> dict[str, Any]:
    argv = ["ip", "netns", "exec", netns, sys.executable, "-c", ASK, address, str(port)]
    answer: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    return answer


@pytest.mark.parametrize("dataplane", part(PLANES, kind, turn=1))
def test_host_ports(netlab: Callable[..., Any], lab: str, tmp_path: Path, dataplane: str) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(spec(lab, dataplane))
    netlab("up", file)
    for who in ("internet", "node-2", "node-1", "near", "far", "web"):
        for address in ("172.18.0.2", "fd00:172:18::2"):
            assert ask(f"{lab}-{who}", address, 8080)["pod"] == "web", (who, address)
    assert ask(f"{lab}-internet", "172.18.0.2", 8080)["client"].startswith("203.0.113.10"), "the source is kept"
    # The node by 127.0.0.1: masqueraded, or the answer would go to the Pod's own loopback.
    for port in (8080, 8081):
        answer = ask(f"{lab}-node-1", "127.0.0.1", port)
        assert answer["pod"] == "web"
        assert not answer["client"].startswith("127.")
    assert ask(f"{lab}-node-2", "172.18.0.2", 8081) == {"error": "ConnectionRefusedError"}, "its hostIP is 127.0.0.1"
    expect = tmp_path / "expect.yaml"
    sources = ["node/node-1", "node/node-2", "external/internet", "web", "near", "far"]
    flows = [{"from": one, "to": "node/node-1", "expect": "allow"} for one in sources]
    expect.write_text(json.dumps({"flows": flows}))
    checked = netlab("check", lab, "--expect", expect, "-o", "json").json
    assert checked["failed"] == 0
    asked = {(flow["port"], flow["protocol"]) for flow in checked["flows"] if flow["to"] == "node-1"}
    assert asked == {(8080, "TCP"), (5353, "UDP"), (3868, "SCTP")}
    assert netlab("diff", lab).stdout.endswith("no drift\n")


def test_two_pods_that_name_one_node_and_want_its_port_are_refused(netlab: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    again = [{"containerPort": 9, "hostPort": 8080}]
    file.write_text(spec("clash", "vxlan", pod("other", "node-1", again)))
    said = netlab("plan", file, check=2).stderr
    assert "Pods default/web and default/other both want 8080/TCP of node node-1 itself" in said
    file.write_text(spec("clash", "vxlan", pod("other", "node-2", again)))
    netlab("plan", file)
