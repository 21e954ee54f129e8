"""The Pods of kube-system's DaemonSets and the nodes: their state is what the kernel of the node has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netlab.cli.kinds.node import nodes
from netlab.cli.kinds.pod import pods
from netlab.cli.kinds.podstatus import printed
from netlab.cli.kinds.request import Request
from netlab.planes import ROWS
from netlab.runtime import lab as labs
from tests.kernel_features import with_needs

pytestmark = pytest.mark.kernel
SERVICE = '\n---\n{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "server"}, "ports": [{"port": 80}]}}'
OK, UNREADY, CRASH = ("1/1", "Running"), ("0/1", "Running"), ("0/1", "CrashLoopBackOff")
READY = ("True", "")
NETWORK, GONE = ("False", "KubeletNotReady"), ("Unknown", "NodeStatusUnknown")


def states(lab: str) -> tuple[dict[tuple[str, str], tuple[str, str]], dict[str, tuple[str, str]]]:
    """By DaemonSet and node, READY and STATUS of its Pod; by node, its condition."""
    request = Request(lab, namespace="kube-system", quiet=True)
    shown = {
        (item["metadata"]["ownerReferences"][0]["name"], item["spec"]["nodeName"]): printed(item)[:2]
        for item in pods(request)
        if "ownerReferences" in item["metadata"]
    }
    conditions = {item["metadata"]["name"]: item["status"]["conditions"][0] for item in nodes(request)}
    return shown, {name: (each["status"], each.get("reason", "")) for name, each in conditions.items()}


#: What is broken by hand on node-1 of a Calico lab; what calico-node, kube-proxy and the node show then.
BROKEN = {
    "ip netns exec {n} sysctl -qw net.ipv4.ip_forward=0": (UNREADY, OK, NETWORK),
    "ip -n {n} link del vxlan.calico": (CRASH, OK, NETWORK),
    "ip -n {n} link set vxlan.calico down": (UNREADY, OK, NETWORK),
    "ip -n {n} addr flush dev vxlan.calico": (UNREADY, OK, NETWORK),
    "ip netns exec {n} nft delete table ip calico": (CRASH, OK, NETWORK),
    "ip netns exec {n} nft delete table ip kube-proxy": (OK, CRASH, READY),
    "ip netns exec {n} nft flush ruleset": (CRASH, CRASH, NETWORK),
    "ip -n {n} link set eth0 down": (UNREADY, OK, GONE),
    # What no agent of a cluster would see:
    "ip netns exec {n} nft add table ip mine; ip -n {n} link set vxlan.calico mtu 1000": (OK, OK, READY),
    "ip -n {n} route del 10.244.2.0/26; ip -n {n} neigh flush dev vxlan.calico nud permanent": (OK, OK, READY),
    "ip -n {n} addr add 10.9.9.9/32 dev vxlan.calico": (OK, OK, READY),
}


@pytest.fixture(scope="module")
def calico(kit: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    name = f"sys{os.getpid()}"
    text = kit.spec(name, dataplane="calico-vxlan") + SERVICE
    kit.up(text)
    yield name, lambda: kit.up(text)
    labs.down(name)
    assert kit.remains(name) == []


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_node_shows_in_its_pods_and_recovers(
    calico: tuple[str, Callable[[], Any]], kit: Any, line: str
) -> None:
    lab, mend = calico
    agent, proxy, node = BROKEN[line]
    others = {("calico-node", "node-2"): OK, ("kube-proxy", "node-2"): OK}
    kit.sh(line.format(n=f"{lab}-node-1"))
    shown, conditions = states(lab)
    assert shown == {("calico-node", "node-1"): agent, ("kube-proxy", "node-1"): proxy, **others}
    assert conditions == {"node-1": node, "node-2": READY}
    mend()
    shown, conditions = states(lab)
    assert set(shown.values()) == {OK} and set(conditions.values()) == {READY}


def test_the_words_are_a_kubelets_and_name_the_cause(
    calico: tuple[str, Callable[[], Any]], kit: Any, netlab: Callable[..., Any]
) -> None:
    lab, mend = calico
    kit.sh(f"ip -n {lab}-node-1 link del vxlan.calico")
    described = netlab("describe", "node", "node-1", "--lab", lab).stdout
    assert "NetworkReady=false reason:NetworkPluginNotReady message:" in described
    assert "interface vxlan.calico is missing" in described
    assert "node.kubernetes.io/not-ready" in netlab("get", "node", "node-1", "--lab", lab, "-o", "yaml").stdout
    listed = netlab("get", "pods", "-n", "kube-system", "-l", "k8s-app=calico-node", "--lab", lab, "-o", "name").stdout
    first = listed.split()[0]
    assert "interface vxlan.calico is missing" in netlab("logs", first, "-n", "kube-system", "--lab", lab).stdout
    assert "Back-off restarting" in netlab("describe", first, "-n", "kube-system", "--lab", lab).stdout
    mend()
    assert "link add vxlan.calico" in netlab("logs", first, "-n", "kube-system", "--lab", lab).stdout
    there = netlab("exec", "-n", "kube-system", "--lab", lab, first, "--", "ip", "-br", "link").stdout
    assert "vxlan.calico" in there


def test_a_deleted_system_pod_is_made_anew(calico: tuple[str, Callable[[], Any]], netlab: Callable[..., Any]) -> None:
    lab, _ = calico

    def names() -> set[str]:
        request = Request(lab, namespace="kube-system", quiet=True)
        return {item["metadata"]["name"] for item in pods(request) if item["metadata"]["namespace"] == "kube-system"}

    before = names()
    gone = next(name for name in before if name.startswith("calico-node"))
    assert "made by DaemonSet/calico-node" in netlab("delete", "pod", gone, "-n", "kube-system", "--lab", lab).stdout
    after = names()
    assert gone not in after and len(after) == len(before) and len(after - before) == 1


def test_system_pods_stand_in_kube_system_alone(calico: tuple[str, Callable[[], Any]]) -> None:
    lab, _ = calico
    assert {item["metadata"]["name"] for item in pods(Request(lab, quiet=True))} == {"client", "server", "coredns"}
    everywhere = [item["metadata"]["name"] for item in pods(Request(lab, every=True, quiet=True))]
    assert sum(name.startswith(("calico-node", "kube-proxy")) for name in everywhere) == 4


#: A plane's own device, without which its agent crashes; "" where its agent has none.
DEVICES = {
    "bridge": "cni0",
    "vxlan": "vxlan0",
    "host-gw": "cni0",
    "flannel-vxlan": "flannel.1",
    "weave": "vxlan-6784",
    "calico-bgp": "",
    "calico-vxlan": "vxlan.calico",
    "calico-ipip": "",
    "kindnet": "",
    "geneve": "geneve.2",
    "ipip": "flannel.ipip",
    "wireguard": "flannel-wg",
}


@pytest.mark.parametrize("plane", [with_needs(plane, plane) for plane in ROWS])
def test_every_plane_is_ready_and_says_what_it_lacks(kit: Any, lab: str, plane: str) -> None:
    kit.up(kit.spec(lab, dataplane=plane, ipFamilies=list(ROWS[plane].families)))
    agent = ROWS[plane].agent
    shown, conditions = states(lab)
    whole = len(agent.containers) if agent else 0
    ready = (f"{whole}/{whole}", "Running")
    assert {name for name, _ in shown} == {"kube-proxy", *([agent.name] if agent else [])}
    assert set(shown.values()) <= {OK, ready} and set(conditions.values()) == {READY}
    device = DEVICES[plane]
    kit.sh(f"ip -n {lab}-node-1 link del {device}" if device else f"ip netns exec {lab}-node-1 nft flush ruleset")
    shown, conditions = states(lab)
    assert conditions == {"node-1": NETWORK, "node-2": READY}
    if agent:
        assert shown[agent.name, "node-1"] == (f"0/{whole}", "CrashLoopBackOff")
        assert shown[agent.name, "node-2"] == ready
