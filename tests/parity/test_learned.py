"""What the kernel learned from packets and contradicts the lab: named by ``diff``, forgotten by ``up``; what is right stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.objects import Netns, Op, State, contradicted
from netlab.plan import drift
from netlab.plan.render import drifts
from netlab.runtime.converge import converge
from tests.kernel_features import families_of, planes

pytestmark = pytest.mark.kernel

SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: names}
spec: {selector: {app: server}, ports: [{port: 53, protocol: UDP, targetPort: 5353}]}
"""
PODS = [("client", "node-1"), ("near", "node-1"), ("server", "node-2")]

# What is done (L is the lab), and what diff must name: kind, end of the namespace, start of the name, mending line.
WRONG = {
    "neighbour of another MAC": (
        "ip -n L-near neigh replace 10.244.1.2 dev eth0 lladdr 0a:00:00:00:00:77 nud stale",
        ("neigh", "near", "eth0 10.244.1.2", "ip -n L-near neigh del 10.244.1.2 dev eth0"),
    ),
    "neighbour that is never asked for": (
        "ip -n L-client neigh replace 10.244.1.3 dev eth0 lladdr 0a:00:00:00:00:78 nud noarp",
        ("neigh", "client", "eth0 10.244.1.3", "ip -n L-client neigh del 10.244.1.3 dev eth0"),
    ),
    "IPv6 neighbour": (
        "ip -n L-client -6 neigh replace fd00:10:244:1::3 dev eth0 lladdr 0a:00:00:00:00:79 nud reachable",
        ("neigh", "client", "eth0 fd00:10:244:1::3", "ip -n L-client neigh del fd00:10:244:1::3 dev eth0"),
    ),
    "Pod's MAC learned behind another Pod": (
        "bridge -n L-node-1 fdb replace CLIENTMAC dev veth-near master dynamic",
        ("fdb", "node-1", "veth-near CLIENTMAC", "bridge -n L-node-1 fdb del CLIENTMAC dev veth-near master"),
    ),
    "node's MAC learned behind another node": (
        "bridge -n L-underlay fdb replace NODEMAC dev node-2 master dynamic",
        ("fdb", "underlay", "node-2 NODEMAC", "bridge -n L-underlay fdb del NODEMAC dev node-2 master"),
    ),
    "path MTU": (  # the kernel lists one of IPv4 once a packet has used it
        (
            "ip -n L-node-1 link set vxlan0 mtu 1300; ip netns exec L-client ping -c 1 -W 1 -M do -s 1300 10.244.2.2"
            " || true; ip -n L-node-1 link set vxlan0 mtu 1450;"
            " ip netns exec L-client ping -c 1 -W 1 10.244.2.2"
        ),
        ("path-mtu", "client", "10.244.2.2 mtu 1300", "ip -n L-client route flush cache"),
    ),
    "IPv6 path MTU": (
        (
            "ip -n L-node-1 link set vxlan0 mtu 1300; ip netns exec L-client ping -c 1 -W 1 -M do -s 1352 fd00:10:244:2::2"
            " || true; ip -n L-node-1 link set vxlan0 mtu 1450"
        ),
        ("path-mtu", "client", "fd00:10:244:2::2 mtu 1300", "ip -6 -n L-client route flush cache"),
    ),
    "flow that a table that has gone translated": (
        (
            "ip netns exec L-node-1 nft 'add table ip stale;"
            " add chain ip stale c { type nat hook prerouting priority -150; };"
            " add rule ip stale c ip daddr 10.244.2.2 udp dport 5353 dnat to 10.244.1.3:5353';"
            ' ip netns exec L-client python3 -c "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);'
            " s.bind(('', 4321)); s.sendto(b'x', ('10.244.2.2', 5353))\";"
            " ip netns exec L-node-1 nft delete table ip stale"
        ),
        ("conntrack", "node-1", "udp 10.244.1.2 port 4321 to 10.244.2.2:5353", "conntrack -D -p udp -s 10.244.1.2"),
    ),
}


@pytest.fixture(scope="module")
def bed(kit: Any) -> Iterator[tuple[str, State, LinuxKernel]]:
    lab = f"learned{os.getpid()}"
    want = kit.want(kit.spec(lab, PODS, ipFamilies=["IPv4", "IPv6"]) + SERVICE)
    with LinuxKernel() as kernel:
        converge(kernel, lab, want)
        yield lab, want, kernel
    kit.down(lab)


def found(bed: tuple[str, State, LinuxKernel]) -> tuple[Op, ...]:
    lab, want, kernel = bed
    seen = kernel.observe(lab, want)
    return drift(want, seen.state, want, contradicted(want, seen.learned)).operations


@pytest.mark.parametrize("what", WRONG, ids=lambda text: text.replace(" ", "-"))
def test_what_contradicts_the_lab_is_named_and_forgotten(kit: Any, bed: Any, what: str) -> None:
    lab, want, kernel = bed
    typed, expected = WRONG[what]
    words = {f"{name.upper()}MAC": mac(kit, f"{lab}-{netns}") for name, netns in PLACES.items()} | {"L-": f"{lab}-"}
    kind, where, name, line = (translated(text, words) for text in expected)
    for by_hand in (True, False):
        for _ in range(10):  # a frame of the true owner teaches the kernel better at any moment
            kit.sh(translated(typed, words))
            told = found(bed)
            named = [op for op in told if (op.obj.kind, op.obj.netns) == (kind, f"{lab}-{where}")]
            if any(op.obj.name.startswith(name) for op in named):
                break
        assert [op for op in named if op.obj.name.startswith(name)], [op.obj.key for op in told]
        assert any(line in op.explain() for op in named), [op.explain() for op in named]
        assert "contradicts the lab" in "\n".join(drifts(told))
        if by_hand and (kind != "conntrack" or shutil.which("conntrack")):
            for op in told:
                kit.sh(op.explain(), check=kind != "fdb")  # traffic may have taught a bridge better meanwhile
        else:
            assert converge(kernel, lab, want, want).changed or kind == "fdb"
        assert not found(bed)
        assert not converge(kernel, lab, want, want).changed
    for address in ("10.244.1.3", "10.244.2.2", "fd00:10:244:1::3", "fd00:10:244:2::2"):
        assert any(kit.ping(f"{lab}-client", address) for _ in range(3)), address


PLACES = {"client": "client", "server": "server", "node": "node-1"}


def mac(kit: Any, netns: str) -> str:
    return str(kit.sh(f"ip -n {netns} -br link show eth0").split()[2])


def translated(text: str, words: dict[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def test_what_is_right_is_no_drift(kit: Any, bed: Any) -> None:
    """Neighbours and forwarding entries of every Pod, a failed neighbour, and the path MTU that a tunnel really has."""
    lab, *_ = bed
    names = ("client", "near", "server")
    addresses = ("10.244.1.2", "10.244.1.3", "10.244.2.2", "fd00:10:244:1::2", "fd00:10:244:1::3", "fd00:10:244:2::2")
    for name in names:
        for address in addresses:
            kit.sh(f"ip netns exec {lab}-{name} ping -q -c 1 -W 2 {address}")
    kit.sh(f"ip netns exec {lab}-client ping -q -c 1 -W 1 10.244.1.99 || true")
    kit.sh(f"ip netns exec {lab}-node-1 ping -q -c 1 -W 1 -M do -s 1472 10.244.2.2 || true")
    assert [op.explain() for op in found(bed)] == []


def test_a_flow_that_a_foreign_table_translates_is_that_table_s(kit: Any, bed: Any) -> None:
    lab, want, kernel = bed
    typed, _ = WRONG["flow that a table that has gone translated"]
    kit.sh(typed.rpartition("; ip netns exec")[0].replace("L-", f"{lab}-"))
    seen = kernel.observe(lab, want)
    told = drift(want, seen.state, want, contradicted(want, seen.learned))
    assert not told.operations
    assert [obj.name for obj in told.foreign] == ["ip stale"]
    kit.sh(f"ip netns exec {lab}-node-1 nft delete table ip stale")
    assert [op.obj.kind for op in found(bed)] == ["conntrack"]
    converge(kernel, lab, want, want)
    assert not found(bed)


@pytest.mark.parametrize("plane", planes())
def test_traffic_is_no_drift_on_any_plane(kit: Any, lab: str, plane: str) -> None:
    nodes = ["node-1"] if plane == "bridge" else ["node-1", "node-2"]
    pods = [("client", "node-1"), ("near", "node-1"), ("server", nodes[-1])]
    families = list(families_of(plane))
    outside = [{"name": "internet", "addresses": ["203.0.113.10", "2001:db8::10"][: len(families)]}]
    text = kit.spec(lab, pods, nodes, dataplane=plane, ipFamilies=families, external=outside)
    want = kit.want(text)
    names = [namespace.netns for namespace in want.only(Netns) if namespace.owner.kind != "underlay"]
    targets = [str(address.ip) for pod in kit.cluster(text).pods for address in pod.addresses]
    targets += [str(address.ip) for node in kit.cluster(text).nodes for address in node.addresses]
    with LinuxKernel() as kernel:
        converge(kernel, lab, want)
        for name in names:
            kit.sh(
                "\n".join(f"ip netns exec {name} ping -q -c 1 -W 1 -s 1600 {target} &" for target in targets) + "\nwait"
            )
        assert [(op.obj.netns, op.obj.name) for op in found((lab, want, kernel))] == []
        assert not converge(kernel, lab, want, want).changed
