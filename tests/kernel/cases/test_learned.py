"""What a kernel learned while the lab was broken does not outlive the mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel
Netlab = Callable[..., Any]

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: NAME}
spec: {dataplane: vxlan, nodes: [{name: node-1}, {name: node-2}], ipFamilies: [IPv4, IPv6]}
---
{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {nodeName: node-1, containers: [{name: c, image: x}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: near},
 spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: server},
 spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}
"""
TARGETS = {"IPv4": "10.244.2.2", "IPv6": "fd00:10:244:2::2"}


@pytest.fixture
def up(netlab: Netlab, lab_name: str, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB.replace("NAME", lab_name))
    try:
        yield lambda: netlab("up", path)
    finally:
        netlab("down", lab_name)


def large(netlab: Netlab, lab: str, target: str) -> bool:
    """Whether a packet passes that may not be cut and is as large as the lab's MTU allows."""
    ping = ("ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1380", target)
    return bool(netlab("exec", "--lab", lab, "client", "--", *ping, check=None).status == 0)


@pytest.mark.parametrize("family", TARGETS)
def test_a_path_mtu_that_was_learned_is_forgotten_by_up(
    netlab: Netlab, lab_name: str, up: Callable[[], Any], kit: Any, family: str
) -> None:
    up()
    target = TARGETS[family]
    assert large(netlab, lab_name, target)
    kit.sh(f"ip -n {lab_name}-node-1 link set vxlan0 mtu 1300")
    assert not large(netlab, lab_name, target)
    up()
    assert netlab("diff", lab_name).stdout.endswith("no drift\n")
    assert large(netlab, lab_name, target)


@pytest.mark.parametrize("family", TARGETS)
def test_trace_says_that_a_path_mtu_is_learned_and_how_to_forget_it(
    netlab: Netlab, lab_name: str, up: Callable[[], Any], kit: Any, family: str
) -> None:
    up()
    kit.sh(f"ip -n {lab_name}-node-1 link set vxlan0 mtu 1300")
    assert not large(netlab, lab_name, TARGETS[family])
    kit.sh(f"ip -n {lab_name}-node-1 link set vxlan0 mtu 1450")
    asked = ("trace", "--lab", lab_name, "client", TARGETS[family], "--icmp", "--size", "1380", "--df")
    said = netlab(*asked, check=1).stdout
    assert "the kernel learned the MTU 1300 of this path" in " ".join(said.split())
    line = next(line.strip() for line in said.splitlines() if "route flush cache" in line)
    kit.sh(line)
    assert f"{lab_name}-client has learned no smaller path MTU" in netlab(*asked).stdout


def test_a_neighbour_that_was_learned_of_a_wrong_mac_is_forgotten_by_up(
    netlab: Netlab, lab_name: str, up: Callable[[], Any], kit: Any
) -> None:
    up()
    (near,) = [
        pod["status"]["podIP"]
        for pod in netlab("get", "--lab", lab_name, "pods", "-o", "json").json["items"]
        if pod["metadata"]["name"] == "near"
    ]
    kit.sh(f"ip -n {lab_name}-near link set eth0 address 0a:00:00:00:00:99; ip -n {lab_name}-client neigh flush all")
    assert kit.ping(f"{lab_name}-client", near)
    assert "0a:00:00:00:00:99" in kit.sh(f"ip -n {lab_name}-client neigh show {near}")
    up()
    assert "0a:00:00:00:00:99" not in kit.sh(f"ip -n {lab_name}-client neigh show {near}")
    assert kit.ping(f"{lab_name}-client", near)
