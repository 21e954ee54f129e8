"""``diff -o json`` of a real lab, and ``labs.diff`` of a few namespaces."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.runtime import lab as labs

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
metadata: {name: server}
spec: {nodeName: node-2, containers: [{name: a, image: x, ports: [{containerPort: 80}]}]}
"""


def shell(line: str) -> str:
    return subprocess.run(["bash", "-ec", line], check=True, capture_output=True, text=True).stdout


def test_a_difference_has_its_place_device_and_lines_that_show_and_mend_it(
    lab: str, tmp_path: Path, netlab: Callable[..., Any]
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB.replace("NAME", lab), encoding="utf-8")
    netlab("up", str(file))
    try:
        node = f"{lab}-node-1"
        shell(f"ip -n {node} route del 10.244.2.0/24; ip -n {lab}-client link set dev eth0 mtu 1300")
        shell(
            f"ip netns exec {node} nft 'add table ip theirs; add chain ip theirs c; add rule ip theirs c counter drop'"
        )
        shown = json.loads(netlab("diff", lab, "-o", "json", check=1).stdout)
        assert shown["lab"] == lab
        route = next(each for each in shown["operations"] if each["kind"] == "route")
        assert (route["netns"], route["dst"], route["dev"]) == (node, "10.244.2.0/24", "vxlan0")
        veth = next(each for each in shown["operations"] if each["kind"] == "veth")
        assert (veth["netns"], veth["peer"]) == (node, {"netns": f"{lab}-client", "dev": "eth0"})
        assert shown["places"] == {
            node: {"kind": "node", "name": "node-1"},
            f"{lab}-client": {"kind": "pod", "name": "default/client", "node": "node-1"},
        }
        (foreign,) = shown["foreign"]
        assert any("drop # handle" in line for line in foreign["text"]), foreign

        # the lines are as good as they look
        assert "mtu 1300" in "".join(map(shell, veth["look"]))
        for each in shown["operations"]:
            for line in (*each["look"], *each["mend"]):
                shell(line)
        for line in foreign["commands"]:
            shell(line)
        assert json.loads(netlab("diff", lab, "-o", "json").stdout) == {
            "lab": lab, "operations": [], "foreign": [], "places": {}, "faults": [],
        }  # fmt: skip
    finally:
        netlab("down", lab)


def test_a_diff_of_a_few_namespaces_is_that_part_of_the_whole(
    lab: str, tmp_path: Path, netlab: Callable[..., Any]
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB.replace("NAME", lab), encoding="utf-8")
    netlab("up", str(file))
    try:
        one, two = f"{lab}-node-1", f"{lab}-node-2"
        shell(f"ip -n {one} route del 10.244.2.0/24; ip -n {two} route del 10.244.1.0/24")
        shell(f"ip -n {lab}-client link set dev eth0 mtu 1300; ip -n {two} link add theirs type bridge")
        _, whole = labs.diff(lab)
        kinds = {(op.obj.kind, op.obj.netns) for op in whole.operations}
        assert kinds == {("route", one), ("route", two), ("veth", one)}
        for netns, there in (
            (one, {("route", one), ("veth", one)}),
            (two, {("route", two)}),
            (f"{lab}-client", {("veth", one)}),
            (f"{lab}-server", set()),
        ):
            _, part = labs.diff(lab, netns={netns})
            assert {(op.obj.kind, op.obj.netns) for op in part.operations} == there, netns
            assert [obj.name for obj in part.foreign] == (["theirs"] if netns == two else [])
    finally:
        netlab("down", lab)
