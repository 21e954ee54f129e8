"""Lines of expect.yaml that say more than who reaches whom: so many bytes, and names that Pods look up."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel.host.processes import inside

pytestmark = pytest.mark.kernel

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: NAME}
spec: {dataplane: vxlan, nodes: [{name: node-1}, {name: node-2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node-1, containers: [{name: a, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  nodeName: node-2
  containers: [{name: a, image: x, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: server}, ports: [{port: 80}]}
"""
DENY_ALL = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet}
spec: {podSelector: {matchLabels: {}}, policyTypes: [Egress]}
"""
SIZES = """
flows:
- {from: client, to: server, port: 80, expect: allow}
- {from: client, to: server, port: 80, size: 30000, expect: allow}
- {from: client, to: server, port: 53/UDP, size: 1400, expect: allow}
- {from: client, to: svc/web, size: 1400, expect: allow}
"""
NAMES = """
flows:
- {from: client, resolves: web, expect: allow}
- {from: client, resolves: nosuch.default, expect: deny}
- {from: client, to: web.default, port: 80, expect: allow}
- {from: client, to: svc/kube-dns.kube-system, expect: allow}
- {from: client, to: server, port: 53/UDP, expect: allow}
"""


class Running:
    """A lab of a folder, and its check."""

    def __init__(self, name: str, folder: Path, netlab: Callable[..., Any]) -> None:
        self.name, self.folder, self.netlab = name, folder, netlab

    def check(self, expect: str, *, failed: int) -> dict[str, dict[str, Any]]:
        """The rows of lines of the file: by the line's number, then what is asked."""
        (self.folder / "expect.yaml").write_text(expect, encoding="utf-8")
        done = self.netlab("check", self.name, "-o", "json", check=1 if failed else 0)
        shown = json.loads(done.stdout)
        assert shown["failed"] == failed, [row for row in shown["flows"] if not row["ok"]]
        assert shown["passed"] + shown["failed"] == len(shown["flows"])
        return {
            f"{row['to']}:{row['port']}/{row['protocol']}" + (f" {row['size']}" if "size" in row else ""): row
            for row in shown["flows"]
            if row["from"] == "default/client"
        }


@pytest.fixture
def running(lab: str, tmp_path: Path, netlab: Callable[..., Any]) -> Iterator[Running]:
    (tmp_path / "lab.yaml").write_text(LAB.replace("NAME", lab), encoding="utf-8")
    netlab("up", str(tmp_path))
    try:
        yield Running(lab, tmp_path, netlab)
    finally:
        netlab("down", lab)


def test_so_many_bytes_must_arrive(running: Running, kit: Any) -> None:
    rows = running.check(SIZES, failed=0)
    assert rows["default/server:80/TCP 30000"]["server"] == "default/server", "the responder read the body"
    assert rows["default/server:53/UDP 1400"]["server"] == "default/server"

    # what an MTU fault does: large packets vanish, small ones pass
    node = f"ip netns exec {running.name}-node-2 nft"
    kit.sh(f"{node} 'add table ip large; add chain ip large c {{ type filter hook forward priority 5; }}'")
    kit.sh(f"{node} 'add rule ip large c ip daddr 10.244.2.0/24 ip length > 1000 drop'")
    rows = running.check(SIZES, failed=3)
    assert rows["default/server:80/TCP"]["outcome"] == "open"
    for flow in ("default/server:80/TCP 30000", "default/server:53/UDP 1400", "default/web:80/TCP 1400"):
        assert (rows[flow]["outcome"], rows[flow]["predicted"], rows[flow]["ok"]) == ("timeout", "open", False)


def test_names_are_looked_up_in_the_pod(running: Running) -> None:
    rows = running.check(NAMES, failed=0)
    assert rows["web:53/UDP"]["lookup"]["queries"][-1]["name"] == "web.default.svc.cluster.local"
    assert rows["nosuch.default:53/UDP"]["outcome"] == "refused"
    assert rows["web.default:53/UDP"]["outcome"] == "open" and rows["default/web:80/TCP"]["ok"]
    for flow in ("kube-system/kube-dns:53/UDP", "kube-system/kube-dns:53/TCP"):
        assert rows[flow]["server"] == "kube-system/coredns", "the DNS server itself replies"
    assert rows["default/server:53/UDP"]["server"] == "default/server", "a responder of port 53 gives its name, too"
    running.check("flows: [{from: client, resolves: nosuch.default, expect: allow}]", failed=1)
    running.check("flows: [{from: client, resolves: web, expect: deny}]", failed=1)


@pytest.mark.parametrize(
    "line", ["{from: client, resolves: web.default, expect: allow}", "{from: client, to: web.default, expect: allow}"]
)
def test_a_stopped_dns_server_makes_the_check_red(running: Running, line: str) -> None:
    (knot,) = (each for each in inside([f"{running.name}-kube-system-coredns"]) if each.comm == "knotd")
    os.kill(knot.pid, signal.SIGSTOP)
    try:
        row = running.check(f"flows: [{line}]", failed=1)["web.default:53/UDP"]
        assert (row["outcome"], row["predicted"]) == ("timeout", "open")
        assert "no reply of the name server" in row["says"]
        said = running.netlab("check", running.name, check=1).stdout
        assert "web.default 10.96.0.10:53/UDP" in said and "expect.yaml:1" in said
    finally:
        os.kill(knot.pid, signal.SIGCONT)
    running.check(f"flows: [{line}]", failed=0)


def test_a_wrong_address_is_no_resolution(running: Running) -> None:
    hosts = Path(f"/etc/netns/{running.name}-client/hosts")
    hosts.write_text(hosts.read_text() + "10.244.1.1 web.default\n")
    row = running.check("flows: [{from: client, resolves: web.default, expect: allow}]", failed=1)["web.default:53/UDP"]
    assert "10.244.1.1" in row["says"] and row["lookup"]["by"] == "hosts"


def test_a_policy_that_denies_dns_is_predicted(running: Running) -> None:
    manifest = running.folder / "deny.yaml"
    manifest.write_text(DENY_ALL)
    running.netlab("apply", "--lab", running.name, "-f", str(manifest))
    row = running.check("flows: [{from: client, resolves: web, expect: deny}]", failed=0)["web:53/UDP"]
    assert (row["outcome"], row["predicted"]) == ("timeout", "denied")
    running.check("flows: [{from: client, resolves: web, expect: allow}]", failed=1)


REPLICAS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 5
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec: {containers: [{name: a, image: x, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: a, image: x}]}
"""


def test_failures_of_replicas_are_one_block_of_check(
    netlab: Callable[..., Any], lab_name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    manifests, expect = tmp_path / "many.yaml", tmp_path / "flows.yaml"
    manifests.write_text(REPLICAS)
    expect.write_text("flows:\n- {from: client, to: deploy/many, expect: deny, why: nobody may}\n")
    request.addfinalizer(lambda: netlab("down", lab_name, check=None))
    netlab("up", "-f", manifests, "--name", lab_name)
    shown = netlab("check", lab_name, "--expect", expect, check=1).stdout.splitlines()
    assert shown[0] == "FAIL client -> deploy/many (5):8080 (5 flows): expected deny, got open"
    assert sum(line.startswith("FAIL") for line in shown) == 1
    assert "5 failed" in shown[-1]
    quiet = netlab("check", lab_name, "--expect", expect, "-q", check=1).stdout.splitlines()
    assert quiet == shown[:-1]
    assert "many" in netlab("check", lab_name, "--matrix").stdout
    assert netlab("check", lab_name, "-q").stdout == ""


def test_a_service_that_lost_its_endpoint_makes_the_check_red(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    (tmp_path / "lab.yaml").write_text(LAB.replace("NAME", lab))
    (tmp_path / "flows.yaml").write_text("flows: [{from: client, to: svc/web, port: 80, expect: allow}]\n")
    netlab("up", tmp_path / "lab.yaml")
    netlab("check", lab, "--expect", tmp_path / "flows.yaml")
    netlab("label", "--lab", lab, "pod", "server", "app=other", "--overwrite")
    seen = netlab("check", lab, "--expect", tmp_path / "flows.yaml", check=1).stdout
    assert "Service default/web has no endpoint" in seen
