"""What people do by hand below a lab: ``diff`` names it with a line that mends it, ``up`` heals it, and then nothing is left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab

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
{apiVersion: v1, kind: Pod, metadata: {name: near, labels: {app: web}},
 spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: server, labels: {app: web}},
 spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
"""

# What is typed (L is the lab), and what diff must name: kind, end of the namespace, start of the name, mending line.
FAULTS = {
    "rule of policy routing": (
        "ip -n L-node-2 rule add iif cni0 lookup 77; ip -n L-node-2 route add blackhole 10.244.1.0/24 table 77",
        ("rule", "node-2", "pref 32765 iif cni0 lookup 77", "ip -n L-node-2 rule del pref 32765"),
    ),
    "bandwidth": (
        "tc -n L-server qdisc add dev eth0 root tbf rate 8kbit burst 100 limit 100",
        ("qdisc", "server", "eth0 root tbf", "tc -n L-server qdisc del dev eth0 root"),
    ),
    "place for filters of tc": (
        "tc -n L-node-2 qdisc add dev veth-server clsact",
        ("qdisc", "node-2", "veth-server clsact", "tc -n L-node-2 qdisc del dev veth-server clsact"),
    ),
    "deprecated address": (
        "ip -n L-near -6 addr change fd00:10:244:1::3/64 dev eth0 preferred_lft 0",
        ("addr", "near", "eth0 fd00:10:244:1::3/64", "ip -n L-near addr add fd00:10:244:1::3/64 nodad"),
    ),
    "spanning tree": (
        "ip -n L-node-1 link set cni0 type bridge stp_state 1",
        ("bridge", "node-1", "cni0", "ip -n L-node-1 link set dev cni0 type bridge stp_state 0"),
    ),
    "a bridge without its own entries": (
        "bridge -n L-node-2 fdb flush dev cni0",
        ("bridge", "node-2", "cni0", "bridge -n L-node-2 fdb add 0a:02:00:02:00:00 dev cni0 self permanent"),
    ),
    "an address without its local route": (
        "ip -n L-server route del local 10.244.2.2 table local dev eth0",
        ("addr", "server", "eth0 10.244.2.2/24", "ip -n L-server route replace local 10.244.2.2/32 dev eth0"),
    ),
    "a Pod's address in another namespace's table local": (
        "ip -n L-node-1 route add local 10.244.2.2 dev lo table local",
        ("route", "node-1", "10.244.2.2/32 table local", "ip -n L-node-1 route del local 10.244.2.2/32"),
    ),
    "a node that answers no ARP": (
        "ip netns exec L-node-1 sysctl -qw net.ipv4.conf.all.arp_ignore=8",
        ("sysctl", "node-1", "net.ipv4.conf.all.arp_ignore", "sysctl -qw net.ipv4.conf.all.arp_ignore=0"),
    ),
    "packets that go one hop": (
        "ip netns exec L-client sysctl -qw net.ipv4.ip_default_ttl=1",
        ("sysctl", "client", "net.ipv4.ip_default_ttl", "sysctl -qw net.ipv4.ip_default_ttl=64"),
    ),
    "a neighbour of a wrong MAC": (
        "ip -n L-client neigh replace 10.244.1.3 dev eth0 lladdr 0a:00:00:00:00:55 nud reachable",
        ("neigh", "client", "eth0 10.244.1.3", "ip -n L-client neigh del 10.244.1.3 dev eth0"),
    ),
    "a dead nameserver": (
        "echo nameserver 203.0.113.53 > /etc/netns/L-client/resolv.conf",
        ("file", "client", "resolv.conf", "> /etc/netns/L-client/resolv.conf"),
    ),
}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Netlab, str, Path]]:
    """One lab for all of them: each leaves it as it was."""
    lab = f"byhand{os.getpid()}"
    path = tmp_path_factory.mktemp("drift") / "lab.yaml"
    path.write_text(LAB.replace("NAME", lab))
    try:
        run_netlab("up", path)
        yield run_netlab, lab, path
    finally:
        run_netlab("down", lab)


@pytest.mark.parametrize("what", FAULTS, ids=lambda text: text.replace(" ", "-"))
def test_it_is_named_mended_by_its_line_and_healed(kit: Any, bed: tuple[Netlab, str, Path], what: str) -> None:
    netlab, lab, path = bed
    typed, expected = FAULTS[what]
    kind, where, name, line = (text.replace("L-", f"{lab}-") for text in expected)
    for by_hand in (True, False):
        kit.sh(typed.replace("L-", f"{lab}-"))
        text, told = netlab("diff", lab, check=1).stdout, netlab("diff", lab, "-o", "json", check=1).json
        named = [
            one
            for one in told["operations"]
            if (one["kind"], one["netns"]) == (kind, f"{lab}-{where}") and one["name"].startswith(name)
        ]
        assert named, told["operations"]
        assert any(line in command for one in named for command in one["mend"]), named
        assert f"{kind} {name}" in text
        assert line in text
        if by_hand:
            for command in [command for one in told["operations"] for command in one["commands"]]:
                kit.sh(command)
        else:
            assert netlab("up", path, "-o", "json").json["changed"]
        assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
        assert netlab("up", path, "-o", "json").json["changed"] == 0
    assert any(kit.ping(f"{lab}-client", "10.244.2.2") for _ in range(3))


def test_what_is_foreign_is_left_alone_and_carries_the_lines_that_remove_it(
    kit: Any, bed: tuple[Netlab, str, Path]
) -> None:
    netlab, lab, path = bed
    node = f"{lab}-node-1"
    nft = f"ip netns exec {node} nft"
    kit.sh(f"{nft} 'add table netdev guard'")
    kit.sh(f"{nft} 'add chain netdev guard in {{ type filter hook ingress device veth-near priority 0; }}'")
    kit.sh(f"{nft} 'add rule netdev guard in tcp dport 80 drop'")
    kit.sh(f"ip -n {node} link add mine type bridge; ip -n {node} addr add 10.50.0.1/24 dev mine")
    kit.sh(f"ip -n {node} link set mine up; tc -n {node} qdisc add dev mine clsact")
    text, told = netlab("diff", lab).stdout, netlab("diff", lab, "-o", "json").json
    assert told["operations"] == []
    assert {(one["kind"], one["name"]) for one in told["foreign"]} >= {
        ("nft", "netdev guard"),
        ("qdisc", "mine clsact"),
    }
    assert f"remove by: {nft} 'delete table netdev guard'" in text
    assert netlab("up", path, "-o", "json").json["changed"] == 0
    assert len(netlab("diff", lab, "-o", "json").json["foreign"]) == len(told["foreign"])
    for command in [command for one in told["foreign"] for command in one["commands"]]:
        kit.sh(command)
    assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
