"""DaemonSets on many nodes: each Pod is held against its own node alone, and is refused in the scheduler's words."""

from __future__ import annotations

import pytest

from netlab.model import Cluster, build
from netlab.model.topology.placement import Scheduler
from netlab.spec import Text, load_texts

NODES = 300
DAEMONS = (
    "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: NAME}, spec: {selector: {matchLabels: {a: b}}, template: "
    "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x, ports: [{containerPort: 80, hostPort: 80}]}]}}}}"
)


def made(nodes: int, *daemons: str) -> Cluster:
    listed = ", ".join(f"{{name: n{number}}}" for number in range(nodes))
    spec = f"podCIDR: 10.0.0.0/8, serviceCIDR: 172.20.0.0/16, underlay: {{cidr: 192.168.0.0/16}}, nodes: [{listed}]"
    lab = f"{{apiVersion: netlab/v1, kind: Lab, metadata: {{name: x}}, spec: {{{spec}}}}}"
    texts = [lab, *(DAEMONS.replace("NAME", name) for name in daemons)]
    return build(load_texts([Text("lab.yaml", "\n---\n".join(texts))])).cluster


def test_a_daemon_sets_pods_do_not_ask_every_node(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    refused = Scheduler._refused

    def counted(self: Scheduler, *words: object) -> str:
        nonlocal asked
        asked += 1
        return refused(self, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(Scheduler, "_refused", counted)
    assert len(made(NODES, "agent").pods) == NODES
    assert asked <= 2 * NODES


def test_a_daemon_sets_pod_whose_port_is_taken_waits_as_in_a_cluster() -> None:
    waiting = made(3, "agent", "other").idle
    assert [one.phase for one in waiting] == ["Pending"] * 3
    assert waiting[0].message.startswith("0/3 nodes are available: 1 node(s) didn't have free ports")
    assert "2 node(s) didn't match" in waiting[0].message
