"""healthCheckNodePort: each node answers a load balancer as kube-proxy does, with its own number of ready endpoints."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel

_SERVER = ["sh", "-c", "touch /tmp/ready; exec sleep 1000000"]
_LATE = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
    time.sleep(0.5)
    connection.sendall(b"GET / HTTP/1.1\\r\\nHost: node\\r\\n\\r\\n")
    print(connection.makefile().readline())
"""
_PROBE = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}


def _pod(name: str, node: int, container: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": f"node-{node}", "containers": [{"name": "c", "image": "x", **container}]}}  # fmt: skip


def _service(name: str, **spec: Any) -> dict[str, Any]:
    balanced = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "web"}, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"port": 80}], **balanced}}  # fmt: skip


LAB = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"},
       "spec": {"dataplane": "kindnet", "ipFamilies": ["IPv4", "IPv6"],
                "nodes": [{"name": "node-1"}, {"name": "node-2"}]}}  # fmt: skip
DOCUMENTS = [
    LAB,
    _pod("fixed", 1, {"ports": [{"containerPort": 80}]}, app="web"),
    _pod("probed", 1, {"command": _SERVER, "readinessProbe": _PROBE}, app="web"),
    _pod("client", 2, {"ports": [{"containerPort": 81}]}),
    _service("web", healthCheckNodePort=30099),
    _service("both", ipFamilyPolicy="RequireDualStack", ports=[{"port": 81}]),
    _service("cluster", externalTrafficPolicy="Cluster", ports=[{"port": 82}]),
]


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def _asked(bed: Bed, address: str, port: int) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, header fields and body of the answer that a Pod gets."""
    line = ["curl", "-sSig", "-m", "5", f"http://{address}:{port}/healthz"]
    done = subprocess.run(["ip", "netns", "exec", f"{bed.name}-client", *line], capture_output=True, check=True)
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), json.loads(body)


def _count(bed: Bed, address: str, port: int = 30099) -> int:
    status, _, body = _asked(bed, address, port)
    count: int = body["localEndpoints"]
    assert status == (200 if count else 503)
    return count


def test_each_node_tells_a_load_balancer_how_many_ready_endpoints_it_has(bed: Bed, tmp_path: Path) -> None:
    bed.up_of(tmp_path, DOCUMENTS)
    nodes = bed.netlab("get", "nodes", "-o", "json").json["items"]
    (first, first6), (second, _) = (
        [each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"] for node in nodes
    )
    status, fields, body = _asked(bed, first, 30099)
    assert (status, body) == (
        200,
        {"service": {"namespace": "default", "name": "web"}, "localEndpoints": 2, "serviceProxyHealthy": True},
    )
    assert fields["Content-Type"] == "application/json"
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["X-Load-Balancing-Endpoint-Weight"] == "2"
    assert _count(bed, second) == 0
    late = [sys.executable, "-c", _LATE, first, "30099"]
    said = subprocess.run(
        ["ip", "netns", "exec", f"{bed.name}-client", *late], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("HTTP/1.1 200"), "a load balancer that is slow to ask gets the same answer"
    services = {each["metadata"]["name"]: each["spec"] for each in bed.netlab("get", "svc", "-o", "json").json["items"]}
    assert "healthCheckNodePort" not in services["cluster"]
    drawn = services["both"]["healthCheckNodePort"]
    assert 30000 <= drawn <= 32767
    assert _count(bed, first, drawn) == _count(bed, f"[{first6}]", drawn) == 2
    assert bed.curl("client", f"http://[{first6}]:30099") == "refused", (
        "kube-proxy serves it for the Service's families"
    )

    # The oracle, the packets and what `diff` wants agree.
    assert "kube-proxy of node-2" in bed.netlab("explain", "client", f"{second}:30099").stdout.splitlines()[0]
    traced = bed.netlab("trace", "client", f"{second}:30099").stdout
    assert "request and reply took the expected path" in traced
    assert "refused" in bed.netlab("explain", "client", f"[{first6}]:30099").stdout.splitlines()[0]

    # A label, the end of a Pod, and a probe that fails move the number.
    bed.netlab("label", "pod", "client", "app=web")
    assert _count(bed, second) == 1
    bed.netlab("delete", "pod", "fixed")
    assert _count(bed, first) == 1
    bed.exec("probed", "rm", "/tmp/ready")
    deadline = time.monotonic() + 60
    while _count(bed, first):
        assert time.monotonic() < deadline, bed.netlab("get", "pods").stdout
    assert "no drift" in bed.netlab("diff").stdout
    again = bed.netlab("get", "svc", "both", "-o", "json").json["spec"]["healthCheckNodePort"]
    assert again == drawn, "a running Service keeps its number"
    bed.netlab("delete", "svc", "web")
    assert bed.curl("client", f"http://{first}:30099") == "refused"
