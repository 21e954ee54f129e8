"""What people do to a lab by hand: ``diff`` names the object, ``converge`` heals it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.objects import Op, State
from netlab.plan import drift
from netlab.plan.render import drifts
from netlab.runtime.converge import converge

pytestmark = pytest.mark.kernel

# What is typed (L is the lab), and which object diff must name: its kind, the end of its namespace, its name.
DRIFTS = {
    "route deleted": ("ip -n L-node-1 route del 10.244.2.0/24", ("route", "node-1", "10.244.2.0/24")),
    "default route deleted": ("ip -n L-client route del default", ("route", "client", "0.0.0.0/0")),
    "IPv6 route deleted": ("ip -n L-client -6 route del default", ("route", "client", "::/0")),
    "route moved": (
        "ip -n L-node-1 route replace 10.244.2.0/24 via 172.18.0.3 dev eth0",
        ("route", "node-1", "10.244.2.0/24"),
    ),
    "route added": ("ip -n L-node-1 route add 10.9.0.0/16 via 172.18.0.1", ("route", "node-1", "10.9.0.0/16")),
    "blackhole added": ("ip -n L-node-1 route add blackhole 10.9.0.0/16", ("route", "node-1", "10.9.0.0/16")),
    "throw added": ("ip -n L-node-1 route add throw 10.9.0.0/16", ("route", "node-1", "10.9.0.0/16")),
    "route with a metric added": (
        "ip -n L-node-1 route add 10.244.2.0/24 dev eth0 metric 50",
        ("route", "node-1", "10.244.2.0/24 metric 50"),
    ),
    "route appended": (
        "ip -n L-node-1 route append 10.244.2.0/24 via 172.18.0.9 dev eth0",
        ("route", "node-1", "10.244.2.0/24 #2"),
    ),
    "route prepended": (
        "ip -n L-node-1 route prepend 10.244.2.0/24 via 172.18.0.9 dev eth0",
        ("route", "node-1", "10.244.2.0/24"),
    ),
    "multipath route": (
        "ip -n L-node-1 route add 10.9.0.0/16 nexthop via 172.18.0.1 nexthop via 172.18.0.3",
        ("route", "node-1", "10.9.0.0/16"),
    ),
    "IPv6 multipath route": (
        "ip -n L-node-1 -6 route add fd99::/64 nexthop via fd00:172:18::1 nexthop via fd00:172:18::3",
        ("route", "node-1", "fd99::/64"),
    ),
    "scoped route added": (
        "ip -n L-node-1 route add 10.9.0.0/16 dev eth0 scope 40",
        ("route", "node-1", "10.9.0.0/16"),
    ),
    "address deleted": ("ip -n L-client addr del 10.244.1.2/24 dev eth0", ("addr", "client", "eth0 10.244.1.2/24")),
    "IPv6 address deleted": (
        "ip -n L-client addr del fd00:10:244:1::2/64 dev eth0",
        ("addr", "client", "eth0 fd00:10:244:1::2/64"),
    ),
    "gateway deleted": ("ip -n L-node-1 addr del 10.244.1.1/24 dev cni0", ("addr", "node-1", "cni0 10.244.1.1/24")),
    "address added": ("ip -n L-client addr add 10.99.0.1/24 dev eth0", ("addr", "client", "eth0 10.99.0.1/24")),
    "address of another length": (
        "ip -n L-client addr add 10.244.1.2/16 dev eth0",
        ("addr", "client", "eth0 10.244.1.2/16"),
    ),
    "point-to-point address added": (
        "ip -n L-client addr add 10.99.0.1 peer 10.99.0.2/32 dev eth0",
        ("addr", "client", "eth0 10.99.0.1/32 peer 10.99.0.2/32"),
    ),
    "secondary address in front": (
        (
            "ip -n L-client addr flush dev eth0; ip -n L-client addr add 10.244.1.9/24 dev eth0;"
            " ip -n L-client addr add 10.244.1.2/24 dev eth0"
        ),
        ("addr", "client", "eth0 10.244.1.9/24"),
    ),
    "connected route deleted": (
        "ip -n L-node-1 route del 172.18.0.0/24 dev eth0",
        ("addr", "node-1", "eth0 172.18.0.2/24"),
    ),
    "IPv6 connected route deleted": (
        "ip -n L-node-1 -6 route del fd00:10:244:1::/64 dev cni0",
        ("addr", "node-1", "cni0 fd00:10:244:1::1/64"),
    ),
    "neighbour deleted": (
        "ip -n L-node-1 neigh del 10.244.2.0 dev vxlan0",
        ("neigh", "node-1", "vxlan0 10.244.2.0"),
    ),
    "neighbour wrong": (
        "ip -n L-node-1 neigh replace 10.244.2.0 dev vxlan0 lladdr 0a:0b:0c:0d:0e:0f nud permanent",
        ("neigh", "node-1", "vxlan0 10.244.2.0"),
    ),
    "neighbour no longer permanent": (
        "ip -n L-client neigh replace 10.244.1.1 dev eth0 lladdr 0a:02:00:01:00:00 nud stale",
        ("neigh", "client", "eth0 10.244.1.1"),
    ),
    "neighbour added": (
        "ip -n L-client neigh add 10.244.1.77 dev eth0 lladdr 0a:0b:0c:0d:0e:0f nud permanent",
        ("neigh", "client", "eth0 10.244.1.77"),
    ),
    "fdb entry deleted": (
        "bridge -n L-node-1 fdb del 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.3 self",
        ("fdb", "node-1", "vxlan0 0a:03:00:02:00:00 dst 172.18.0.3"),
    ),
    "fdb entry wrong": (
        "bridge -n L-node-1 fdb replace 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.99 self permanent",
        ("fdb", "node-1", "vxlan0 0a:03:00:02:00:00 dst 172.18.0.99"),
    ),
    "fdb default entry": (
        "bridge -n L-node-1 fdb append 00:00:00:00:00:00 dev vxlan0 dst 172.18.0.99 self permanent",
        ("fdb", "node-1", "vxlan0 00:00:00:00:00:00 dst 172.18.0.99"),
    ),
    "Pod's link deleted": ("ip -n L-node-1 link del veth-client", ("veth", "node-1", "veth-client")),
    "node's link deleted": ("ip -n L-node-1 link del eth0", ("vxlan", "node-1", "vxlan0")),
    "bridge deleted": ("ip -n L-node-1 link del cni0", ("bridge", "node-1", "cni0")),
    "underlay deleted": ("ip -n L-underlay link del br0", ("bridge", "underlay", "br0")),
    "vxlan device deleted": ("ip -n L-node-1 link del vxlan0", ("vxlan", "node-1", "vxlan0")),
    "vxlan device of another VNI": (
        (
            "ip -n L-node-1 link del vxlan0;"
            " ip -n L-node-1 link add vxlan0 type vxlan id 7 local 172.18.0.2 dev eth0 dstport 4789 nolearning"
        ),
        ("vxlan", "node-1", "vxlan0"),
    ),
    "altname deleted": (
        "ip -n L-node-1 link property del dev veth-client altname pod-default-client",
        ("veth", "node-1", "veth-client"),
    ),
    "altname added": ("ip -n L-client link property add dev eth0 altname mine", ("veth", "node-1", "veth-client")),
    "link down": ("ip -n L-node-1 link set veth-client down", ("veth", "node-1", "veth-client")),
    "Pod's end down": ("ip -n L-client link set eth0 down", ("veth", "node-1", "veth-client")),
    "link down and up": (
        "ip -n L-client link set eth0 down; ip -n L-client link set eth0 up",
        ("route", "client", "0.0.0.0/0"),
    ),
    "node's link down": ("ip -n L-node-1 link set eth0 down", ("veth", "node-1", "eth0")),
    "bridge down": ("ip -n L-node-1 link set cni0 down", ("bridge", "node-1", "cni0")),
    "lo down": ("ip -n L-client link set lo down", ("netns", "client", "L-client")),
    "MTU": ("ip -n L-client link set eth0 mtu 1300", ("veth", "node-1", "veth-client")),
    "MTU of the bridge": ("ip -n L-node-1 link set cni0 mtu 1300", ("bridge", "node-1", "cni0")),
    "MTU too small for IPv6": ("ip -n L-client link set eth0 mtu 1000", ("veth", "node-1", "veth-client")),
    "MAC": ("ip -n L-client link set eth0 address 0a:0b:0c:0d:0e:0f", ("veth", "node-1", "veth-client")),
    "MAC of the bridge": ("ip -n L-node-1 link set cni0 address 0a:0b:0c:0d:0e:0f", ("bridge", "node-1", "cni0")),
    "address generation": (
        "ip -n L-client link set eth0 addrgenmode none",
        ("veth", "node-1", "veth-client"),
    ),
    "offload": ("ip netns exec L-client ethtool -K eth0 tso on tx on", ("veth", "node-1", "veth-client")),
    "forwarding off": (
        "ip netns exec L-node-1 sysctl -qw net.ipv4.ip_forward=0",
        ("sysctl", "node-1", "net.ipv4.ip_forward"),
    ),
    "IPv6 forwarding off": (
        "ip netns exec L-node-1 sysctl -qw net.ipv6.conf.all.forwarding=0",
        ("sysctl", "node-1", "net.ipv6.conf.all.forwarding"),
    ),
    "port detached": ("ip -n L-node-1 link set veth-client nomaster", ("port", "node-1", "veth-client")),
    "port in another bridge": (
        "ip -n L-node-1 link add br9 type bridge; ip -n L-node-1 link set veth-client master br9",
        ("port", "node-1", "veth-client"),
    ),
    "hairpin": (
        "ip -n L-node-1 link set veth-client type bridge_slave hairpin off",
        ("port", "node-1", "veth-client"),
    ),
    "isolated": (
        "ip -n L-node-1 link set veth-client type bridge_slave isolated on",
        ("port", "node-1", "veth-client"),
    ),
    "port learning": (
        "ip -n L-underlay link set node-1 type bridge_slave learning off",
        ("port", "underlay", "node-1"),
    ),
    "Pod's namespace deleted": ("ip netns del L-client", ("netns", "client", "L-client")),
    "node's namespace deleted": ("ip netns del L-node-1", ("netns", "node-1", "L-node-1")),
    "underlay's namespace deleted": ("ip netns del L-underlay", ("netns", "underlay", "L-underlay")),
    "veth moved to another Pod": (
        "ip -n L-client link set eth0 netns L-server name stolen",
        ("veth", "node-1", "veth-client"),
    ),
    "veth renamed": (
        "ip -n L-node-1 link set veth-client down; ip -n L-node-1 link set veth-client name mine",
        ("veth", "node-1", "veth-client"),
    ),
    "Pod's end renamed": (
        "ip -n L-client link set eth0 down; ip -n L-client link set eth0 name mine",
        ("veth", "node-1", "veth-client"),
    ),
    "another link in its place": (
        "ip -n L-client link del eth0; ip -n L-client link add eth0 index 2 type bridge",
        ("veth", "node-1", "veth-client"),
    ),
    "its index taken": (
        "ip -n L-node-1 link del eth0; ip -n L-node-1 link add mine index 2 type bridge",
        ("veth", "node-1", "eth0"),
    ),
    "cni0 replaced by a veth": (
        "ip -n L-node-1 link del cni0; ip -n L-node-1 link add cni0 type veth peer name other",
        ("bridge", "node-1", "cni0"),
    ),
}


def mend_lines(operations: tuple[Op, ...]) -> list[str]:
    """What ``diff`` prints to type, in its order."""
    text = "\n".join(drifts(operations))
    return [line[11:] for line in text.splitlines() if line.startswith(("  mend by: ", "           "))]


def type_the_mends(kit: Any, kernel: LinuxKernel, lab: str, want: State) -> None:
    """Type every line that mends, each in a shell of its own, and find no drift."""
    found = drift(want, kernel.observe(lab, want).state, want).operations
    assert found
    for line in mend_lines(found):
        kit.sh(line)
    left = drift(want, kernel.observe(lab, want).state, want).operations
    assert left == (), "\n".join(drifts(left))


# The kernel frees a namespace in the background, and the other ends of its veths with it.
FREED = {
    "Pod's namespace deleted": "node-1 link show veth-client",
    "node's namespace deleted": "underlay link show node-1",
    "underlay's namespace deleted": "node-1 link show eth0",
}


@pytest.fixture(scope="module")
def bed(kit: Any) -> Iterator[tuple[str, State]]:
    """A lab for all drifts: each test begins by making it whole."""
    lab = f"drift{os.getpid()}"
    yield lab, kit.want(kit.spec(lab, ipFamilies=["IPv4", "IPv6"]))
    kit.down(lab)


def answers(kit: Any, lab: str) -> bool:
    """Whether the server answers the client in both families; a link that just came up may lose a packet or two."""
    return all(
        any(kit.ping(f"{lab}-client", address) for _ in range(3)) for address in ("10.244.2.2", "fd00:10:244:2::2")
    )


@pytest.mark.parametrize("what", DRIFTS, ids=lambda text: text.replace(" ", "-"))
def test_drift_is_named_and_mended_by_its_lines_and_healed(kit: Any, bed: tuple[str, State], what: str) -> None:
    lab, want = bed
    typed, (kind, where, name) = DRIFTS[what]
    typed = typed.replace("L-", f"{lab}-")
    with LinuxKernel() as kernel:
        converge(kernel, lab, want, want)
    # The kernel is closed: a namespace lives for as long as a process has it open.
    kit.sh(typed)
    if what in FREED:
        kit.sh(f"while ip -n {lab}-{FREED[what]} 2>/dev/null; do sleep 0.05; done")
    with LinuxKernel() as kernel:
        type_the_mends(kit, kernel, lab, want)
    strangers = "mine" in typed or "br9" in typed
    if strangers:
        kit.down(lab)
    with LinuxKernel() as kernel:
        converge(kernel, lab, want, want)
        kit.sh(typed)
        differing = drift(want, kernel.observe(lab, want).state, want).operations
        names = [(op.obj.kind, op.obj.netns, op.obj.name) for op in differing]
        assert (kind, f"{lab}-{where}", name.replace("L-", f"{lab}-")) in names
        converge(kernel, lab, want, want)
        assert kernel.observe(lab, want).state.without() == want or strangers
        assert answers(kit, lab)
    if strangers:
        kit.down(lab)


@pytest.mark.parametrize("seed", range(4))
def test_several_drifts_at_once_are_healed(kit: Any, lab: str, seed: int) -> None:
    dice = random.Random(seed)
    want = kit.want(kit.spec(lab, ipFamilies=["IPv4", "IPv6"]))
    with LinuxKernel() as kernel:
        for _ in range(4):
            converge(kernel, lab, want, want)
            for what in dice.sample(sorted(DRIFTS), 5):
                # One may have taken away what the next is about.
                kit.sh(DRIFTS[what][0].replace("L-", f"{lab}-"), check=False)
            converge(kernel, lab, want, want)
            assert answers(kit, lab)


# What is done to the tables of node-1; $ is `ip netns exec L-node-1 nft`.
RULES = {
    "flushed": "$ flush ruleset",
    "table deleted": "$ delete table inet netlab-policy",
    "chain emptied": "$ flush chain inet netlab-policy ingress",
    "rule added": "$ insert rule inet netlab-policy ingress drop",
    "element added": "$ 'add element inet kindnet-ipmasq noMasqV4 { 192.0.2.0/24 }'",
    "element deleted": "$ 'delete element inet netlab-policy ingress-ipv4 { 10.244.1.2 }'",
    "set added": "$ 'add set ip kube-proxy mine { type ipv4_addr; }'",
    "chains added that lead to each other": (
        "$ add chain inet netlab-policy a-mine; $ add chain inet netlab-policy z-mine;"
        " $ add chain inet netlab-policy m-mine;"
        " $ add rule inet netlab-policy z-mine jump m-mine; $ add rule inet netlab-policy m-mine jump a-mine;"
        " $ add rule inet netlab-policy z-mine ip saddr vmap '{ 192.0.2.1 : goto a-mine }';"
        " $ insert rule inet netlab-policy ingress jump z-mine"
    ),
    "chains deleted": (
        "$ flush chain ip kube-proxy services; $ flush map ip kube-proxy service-ips;"
        " $ flush map ip kube-proxy service-nodeports;"
        " for i in 1 2 3; do $ list chains ip kube-proxy | sed -n 's/.*chain \\(.*\\) {$/\\1/p' | while read c; do"
        "   $ flush chain ip kube-proxy $c; done; done;"
        " for i in 1 2 3; do $ list chains ip kube-proxy | sed -n 's/.*chain \\(.*\\) {$/\\1/p' | while read c; do"
        "   $ delete chain ip kube-proxy $c || true; done; done"
    ),
}


def with_rules(kit: Any, lab: str) -> State:
    """A node with every kind of table: masquerade, a Service with affinity, a policy with blocks and port ranges."""
    service = {"kind": "Service", "spec": {"type": "NodePort", "sessionAffinity": "ClientIP",
                                           "selector": {"app": "client"}, "ports": [{"port": 80}]}}  # fmt: skip
    peers = [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]
    ingress = {"from": peers, "ports": [{"port": 80}, {"port": 8000, "endPort": 8100}]}
    policy = {"kind": "NetworkPolicy", "spec": {"podSelector": {}, "ingress": [ingress]}}
    more = [
        json.dumps({"apiVersion": version, "metadata": {"name": "x"}, **document})
        for version, document in (("v1", service), ("networking.k8s.io/v1", policy))
    ]
    want: State = kit.want("\n---\n".join([kit.spec(lab, dataplane="kindnet"), *more]))
    return want


@pytest.mark.parametrize("what", RULES, ids=lambda text: text.replace(" ", "-"))
def test_what_diff_prints_to_mend_rules_can_be_typed_in_that_order(kit: Any, lab: str, what: str) -> None:
    want = with_rules(kit, lab)
    with LinuxKernel() as kernel:
        converge(kernel, lab, want)
        kit.sh(RULES[what].replace("$ ", f"ip netns exec {lab}-node-1 nft "))
        type_the_mends(kit, kernel, lab, want)
