"""What a lab becomes: the whole of small labs as golden text, and the facts of real nodes, each with its value.

NETLAB_UPDATE_GOLDENS=1 writes the texts anew; read the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from netlab.model import build
from netlab.objects import (
    Addr,
    Bridge,
    Fdb,
    File,
    Ipip,
    Neigh,
    NftChain,
    Port,
    Route,
    State,
    Sysctl,
    Veth,
    Vxlan,
    WgPeer,
    diff,
)
from netlab.objects.tunnels import Tunnel
from netlab.plan import Host, check, desired, render
from netlab.plan.dataplanes import dataplane
from netlab.planes import ENCAPSULATIONS, ROWS
from netlab.spec import Text, load_texts

FOLDER = Path(__file__).parent / "golden"
FAMILIES = {"ipv4": ["IPv4"], "ipv6": ["IPv6"], "dual": ["IPv4", "IPv6"]}
# Every plane has a golden of the families that it carries; the first three of netlab's own, of each.
LABS = [
    f"{plane}-{family}"
    for plane, row in ROWS.items()
    for family, words in FAMILIES.items()
    if tuple(words) == row.families or plane in ("bridge", "vxlan", "host-gw")
]


def plan(host: Host | None = None, **spec: Any) -> State:
    documents: list[dict[str, Any]] = [
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": spec},
    ]
    for name, node in (("client", "node-1"), ("server", "node-2")):
        containers = [{"name": "main", "image": "x", "ports": [{"containerPort": 80}]}]
        documents.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {"nodeName": node, "containers": containers},
            }
        )
    text = "\n---\n".join(map(json.dumps, documents))
    return desired(build(load_texts([Text("lab.yaml", text)]), check=check).cluster, host)


@pytest.mark.parametrize("which", LABS)
def test_the_commands_of_a_lab(which: str) -> None:
    plane, _, family = which.rpartition("-")
    told = render.script("x", diff(plan(dataplane=plane, ipFamilies=FAMILIES[family]), State())) + "\n"
    golden = FOLDER / f"{which}.txt"
    if os.environ.get("NETLAB_UPDATE_GOLDENS") == "1":
        FOLDER.mkdir(exist_ok=True)
        golden.write_text(told)
    assert told == golden.read_text()


def test_each_golden_belongs_to_a_lab() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(LABS)


def named(state: State, kind: type, netns: str = "x-node-1") -> dict[str, Any]:
    return {one.name: one for one in state.only(kind) if one.netns == netns}


# -- as real nodes have it -------------------------------------------------------------------------------------------


def test_the_bridge_of_the_cni_plugin() -> None:
    """CNI plugin bridge with isGateway and hairpinMode, as flannel delegates to it."""
    state = plan(dataplane="vxlan")
    cni0 = named(state, Bridge)["cni0"]
    assert cni0.mac, "set: unset, it would follow its ports"
    assert cni0.mtu == 1450
    gateway = named(state, Addr)["cni0 10.244.1.1/24"]
    assert gateway.broadcast, "every CNI plugin gives a broadcast address"
    assert "brd +" in gateway.explain()
    port = named(state, Port)["veth-client"]
    assert (port.master, port.hairpin, port.isolated, port.learning) == ("cni0", True, False, True)
    pod = named(state, Addr, "x-client")["eth0 10.244.1.2/24"]
    assert pod.scope == "global"
    default = named(state, Route, "x-client")["0.0.0.0/0"]
    assert (default.via, default.dev) == ("10.244.1.1", "eth0")


def test_vxlan_is_flannels_in_everything_but_name_and_port() -> None:
    """flannel's vxlan backend: nolearning, a /32, and a neighbour, an fdb entry, an onlink route a remote node."""
    state = plan(dataplane="vxlan")
    device = named(state, Vxlan)["vxlan0"]
    assert (device.vni, device.port, device.learning) == (1, 4789, False)
    assert (device.local, device.lower, device.mtu) == ("172.18.0.2", "eth0", 1450)
    own = named(state, Addr)["vxlan0 10.244.1.0/32"]
    assert not own.broadcast
    remote = next(one for one in state.only(Vxlan) if one.netns == "x-node-2")
    assert named(state, Neigh)["vxlan0 10.244.2.0"].mac == remote.mac
    assert [(one.mac, one.dst) for one in named(state, Fdb).values()] == [(remote.mac, "172.18.0.3")]
    route = named(state, Route)["10.244.2.0/24"]
    assert (route.via, route.dev, route.onlink, route.proto) == ("10.244.2.0", "vxlan0", True, 3)
    kinds = [
        op.obj.kind
        for op in diff(state, State())
        if op.obj.why.message == "Node node-1 reaches the Pods of node node-2"
    ]
    assert sorted(kinds) == ["fdb", "neigh", "route"]


def test_vxlan_over_ipv6_takes_20_bytes_more() -> None:
    assert named(plan(dataplane="vxlan", ipFamilies=["IPv6"]), Vxlan)["vxlan0"].mtu == 1430


def test_host_gw_is_a_route_by_the_nodes_address() -> None:
    """flannel's host-gw backend: MTU of the underlay, nothing but a route a remote node."""
    state = plan(dataplane="host-gw")
    route = named(state, Route)["10.244.2.0/24"]
    assert (route.via, route.dev, route.onlink) == ("172.18.0.3", "eth0", False)
    assert named(state, Bridge)["cni0"].mtu == 1500
    assert not list(state.only(Fdb))


def test_bridge_knows_no_way_to_other_nodes() -> None:
    assert not [one for one in plan(dataplane="bridge").only(Route) if one.dst.startswith("10.244")]


def test_each_node_forwards_and_has_a_default_route() -> None:
    """A default route, or proxy ARP and connections from a node to a Service fail."""
    state = plan(ipFamilies=["IPv4", "IPv6"])
    for node in ("x-node-1", "x-node-2"):
        sysctls = {one.path: one.value for one in named(state, Sysctl, node).values()}
        assert sysctls["net.ipv4.ip_forward"] == "1"
        assert sysctls["net.ipv6.conf.all.forwarding"] == "1"
        assert sysctls["net.ipv4.conf.all.rp_filter"] == sysctls["net.ipv4.conf.default.rp_filter"] == "0"
        assert {"0.0.0.0/0", "::/0"} <= set(named(state, Route, node))


def test_br_netfilter_is_on_in_nodes_and_off_in_the_underlay() -> None:
    """Measured: without it, frames between Pods of a node pass below nftables, and Services there time out."""
    state = plan()
    for netns, value in (("x-node-1", "1"), ("x-node-2", "1"), ("x-underlay", "0")):
        sysctls = {one.path: one.value for one in named(state, Sysctl, netns).values()}
        assert sysctls["net.bridge.bridge-nf-call-iptables"] == value
        assert sysctls["net.bridge.bridge-nf-call-ip6tables"] == value
    without = plan(Host(br_netfilter=False))
    assert not [one for one in without.only(Sysctl) if "bridge" in one.path]


def test_ipv4_labs_have_no_link_local_addresses_and_others_have() -> None:
    for families, mode in ((["IPv4"], "none"), (["IPv4", "IPv6"], "eui64")):
        state = plan(ipFamilies=families)
        assert {one.addrgen for veth in state.only(Veth) for one in (veth.end, veth.peer)} == {mode}


def test_permanent_neighbours_name_macs_that_the_lines_set() -> None:
    """Else a script that leaves MACs to the kernel would build a lab in which nothing arrives."""
    for plane in ("bridge", "vxlan", "host-gw"):
        state = plan(dataplane=plane, ipFamilies=["IPv4", "IPv6"])
        typed = render.script("x", diff(state, State()))
        for one in [*state.only(Neigh), *state.only(Fdb)]:
            assert f"address {one.mac}" in typed


def test_indexes_are_unique_where_two_dumps_are_paired() -> None:
    state = plan()
    pairs = [(one.end.index, one.peer.index) for one in state.only(Veth)]
    assert len(set(pairs)) == len(pairs)
    for netns in state.netns():
        ends = [end for veth in state.only(Veth) for end in (veth.end, veth.peer) if end.netns == netns]
        numbers = [one.index for one in ends] + [one.index for one in named(state, Bridge, netns).values()]
        numbers += [one.index for one in named(state, Vxlan, netns).values()]
        assert len(set(numbers)) == len(numbers)


def test_files_are_the_kubelets() -> None:
    files = named(plan(), File, "x-client")
    assert files["hosts"].content.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert files["hosts"].content.endswith("10.244.1.2\tclient\n")
    assert "options ndots:5\n" in files["resolv.conf"].content
    assert files["hostname"].content == "client\n"


def test_every_object_says_why() -> None:
    for one in plan(ipFamilies=["IPv4", "IPv6"]).values():
        assert one.why.message != "observed in the kernel", one
        assert one.why.message, one


def test_every_row_of_traits_has_the_file_that_makes_the_plane() -> None:
    assert all(callable(dataplane(name).reach) for name in ROWS)


def test_what_a_plane_makes_is_what_its_row_says() -> None:
    """The oracle and the traces believe the row, the kernel gets the objects."""
    for name, row in ROWS.items():
        families = list(row.families)
        state = plan(dataplane=name, ipFamilies=families, external=[{"name": "x", "address": "203.0.113.9"}])
        on_nodes = [one for one in state.only(Bridge) if one.name != "underlay" and "underlay" not in one.netns]
        assert {one.name for one in on_nodes} == ({row.bridge} if row.bridge else set()), name
        tunnels = [one for one in state.values() if isinstance(one, Tunnel)]
        assert {ENCAPSULATIONS[one.kind] for one in tunnels} == ({row.encapsulation} if row.encapsulates else set()), (
            name
        )
        ports = {one.port for one in tunnels if not isinstance(one, Ipip)}
        assert min(ports, default=0) == row.udp_port, name
        masquerading = {one.table for one in state.only(NftChain) if any("masquerade" in rule for rule in one.rules)}
        assert masquerading == set(row.nft_tables), name
        assert {one.peer.mtu for one in state.only(Veth) if one.why.message.startswith("Pod ")} == {
            1500 - row.overhead_of(tuple(int(family[-1]) for family in families))
        }
        crossing = [
            one
            for one in (*state.only(Route), *state.only(Fdb), *state.only(WgPeer))
            if "reaches the Pods" in one.why.message
        ]
        assert bool(crossing) == row.crosses_nodes, name
