"""What the oracle believes of a data plane is its row of traits: held against packets for every plane and family."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from netlab.kernel.neighbours import KernelNeighbours
from netlab.model import Cluster
from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.planes import ROWS
from netlab.runtime.state import running
from netlab.spec import schema
from tests.kernel_features import with_needs
from tests.tables import part

pytestmark = pytest.mark.kernel

FAMILIES = {"ipv4": ["IPv4"], "ipv6": ["IPv6"], "dual": ["IPv4", "IPv6"]}
NODE_PORT = 30080


def objects(lab: str, plane: str, families: list[str]) -> str:
    """Two nodes, a Pod of each label on both, a NodePort Service of the policy Local, a policy, a host outside."""
    outside = [address for family, address in (("IPv4", "203.0.113.9"), ("IPv6", "2001:db8::9")) if family in families]
    spec = {
        "dataplane": plane,
        "ipFamilies": families,
        "nodes": [{"name": "node-1"}, {"name": "node-2"}],
        "external": [{"name": "internet", "addresses": outside}],
    }

    def pod(name: str, app: str, node: str, **port: Any) -> dict[str, Any]:
        containers = [{"name": "c", "image": "x", "ports": [{"containerPort": 80, **port}]}]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
                "spec": {"nodeName": node, "containers": containers}}  # fmt: skip

    service = {"type": "NodePort", "selector": {"app": "web"}, "externalTrafficPolicy": "Local",
               "ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 8000, "targetPort": 80, "nodePort": NODE_PORT}]}  # fmt: skip
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
              "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}]}  # fmt: skip
    return "\n---\n".join(map(json.dumps, [
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": spec},
        pod("web", "web", "node-1", hostPort=8080), pod("a1", "a", "node-1"), pod("a2", "a", "node-2"),
        pod("b1", "b", "node-1"), pod("b2", "b", "node-2"),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": policy},
    ]))  # fmt: skip


def wrong(cluster: Cluster) -> list[str]:
    """Flows that packets answer in another way than the oracle: to Pods, node ports, hostPorts, the Service."""
    sources = ["a1", "a2", "b1", "b2", "web", "node/node-1", "node/node-2", "external/internet"]
    asked = dict.fromkeys(
        (
            *flows(cluster, sources=sources, targets=["web", "svc/web"]),
            *flows(cluster, sources=sources, targets=["node/node-1"], ports=[str(NODE_PORT), "8080"]),
            *flows(cluster, sources=sources, targets=["node/node-2"], ports=[str(NODE_PORT)]),
        )
    )
    predicted = Predictor(cluster).answer(asked)
    with KernelNeighbours() as neighbours:
        found = list(probed(Prober(cluster, neighbours=neighbours), cluster, asked))
    silent = [f"{one.flow}: {one.outcome} {one.because}" for one in found if one.outcome != "open"]
    assert {"open", "denied"} <= {str(one.outcome) for one in found}, "\n".join(silent)
    return [f"{one.flow}: oracle {predicted[one.flow].outcome}, packets {one.outcome} {one.because}"
            for one in found if not agree(predicted[one.flow], one)]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "plane"),
    part(
        (
            with_needs(name, family, name)
            for family, words in FAMILIES.items()
            for name in ROWS
            if set(words) <= set(ROWS[name].families)
        ),
        lambda _, name: name,
    ),
)
def test_the_oracle_knows_every_plane(kit: Any, lab: str, plane: str, family: str) -> None:
    text = objects(lab, plane, FAMILIES[family])
    kit.up(text)
    found = wrong(running.load_cluster(lab))
    assert not found, "\n".join(found)


def test_a_plane_of_a_bridge_that_nobody_knows_needs_its_row_alone(
    kit: Any, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """host-gw with another bridge: a hostPort works through that bridge, and nothing is taken to be masqueraded."""
    row = replace(ROWS["host-gw"], name="my-hostgw", bridge="br-mine")
    monkeypatch.setitem(ROWS, row.name, row)
    schema.schemas.cache_clear()
    try:
        kit.up(objects(lab, row.name, ["IPv4"]))
        assert "br-mine" in kit.sh(f"ip -n {lab}-node-1 -br link show type bridge")
        assert kit.sh(f"ip netns exec {lab}-node-1 sysctl -n net.ipv4.conf.br-mine.route_localnet").strip() == "1"
        found = wrong(running.load_cluster(lab))
        assert not found, "\n".join(found)
    finally:
        schema.schemas.cache_clear()
