"""Shares of a lab on several machines: what is on which machine, and that nothing is lost at the cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.errors import BadInput
from netlab.model import Cluster, build
from netlab.objects import Addr, Bridge, Fdb, Netns, State, Stitch, Veth
from netlab.plan import check, desired
from netlab.plan.share import STITCH, Share, part, require
from netlab.planes import ROWS
from netlab.runtime.machines.shares import read
from netlab.spec import Text, load_texts

ROOT = Path(__file__).resolve().parents[3]
FILE = "machines:\n  a: {address: 192.0.2.1, nodes: [node-1]}\n  b: {address: 192.0.2.2, nodes: [node-2, node-3]}\nvni: 77\n"
POD = "{{apiVersion: v1, kind: Pod, metadata: {{name: p{0}}}, spec: {{nodeName: node-{0}, containers: [{{name: c, image: i, ports: [{{containerPort: 80}}]}}]}}}}"


def cluster(plane: str = "vxlan", families: str = "[IPv4, IPv6]", more: str = "") -> Cluster:
    spec = (
        f"{{apiVersion: netlab/v1, kind: Lab, metadata: {{name: big}}, spec: {{dataplane: {plane}, ipFamilies: {families}, "
        f"{more}nodes: [{{name: node-1}}, {{name: node-2}}, {{name: node-3}}], "
        "external: [{name: internet, addresses: [203.0.113.9, '2001:db8::9']}]}}"
    )
    if "IPv6" not in families:
        spec = spec.replace(", '2001:db8::9'", "")
    text = "\n---\n".join([spec, *(POD.format(number) for number in (1, 2, 3))])
    return build(load_texts([Text("lab.yaml", text)]), check=check).cluster


def shares() -> tuple[Share, Share]:
    return read(FILE, "share.yaml", "a"), read(FILE, "share.yaml", "b")


@pytest.mark.parametrize("plane", ROWS)
def test_shares_are_disjoint_and_their_union_is_the_lab(plane: str) -> None:
    row = ROWS[plane]
    families = "[IPv4, IPv6]" if len(row.families) > 1 else f"[{next(iter(row.families))}]"
    lab = cluster(plane, families)
    under = lab.underlay.netns
    whole = desired(lab)
    parts = {share.here: part(whole, lab, share) for share in shares()}
    where = {name: {key for key in state if key.netns != under} for name, state in parts.items()}
    assert not where["a"] & where["b"]
    assert set(whole) == {key for state in parts.values() for key in state if STITCH not in str(key)}
    for name, state in parts.items():
        there = {obj.netns for obj in state.only(Netns)}
        lost = [veth for veth in state.only(Veth) if veth.peer.netns not in there or veth.netns not in there]
        assert not lost, f"{name}: a veth pair with an end on another machine"


def test_the_router_and_the_hosts_outside_are_at_home() -> None:
    lab = cluster()
    home, other = (part(desired(lab), lab, share) for share in shares())
    routers = [{obj.address for obj in state.only(Addr) if obj.netns == lab.underlay.netns} for state in (home, other)]
    assert routers[0]
    assert not routers[1]
    outside = [
        {host.netns for host in lab.external} <= {obj.netns for obj in state.only(Netns)} for state in (home, other)
    ]
    assert outside == [True, False]
    bridges = [
        next(obj for obj in state.only(Bridge) if obj.netns == lab.underlay.netns).mac for state in (home, other)
    ]
    assert bridges[0] != bridges[1], "a bridge elsewhere would swallow what is for the router"


def test_the_cut_knows_every_address_beforehand() -> None:
    lab = cluster()
    home, other = (part(desired(lab), lab, share) for share in shares())
    macs = {node.name: node.mac for node in lab.nodes}

    def entries(state: State) -> set[tuple[str, str]]:
        return {(obj.mac, obj.dst) for obj in state.only(Fdb) if obj.dev == STITCH}

    flood = "00:00:00:00:00:00"
    assert entries(home) == {(each, "192.0.2.2") for each in (flood, macs["node-2"], macs["node-3"])}
    assert entries(other) == {(each, "192.0.2.1") for each in (flood, macs["node-1"], lab.underlay.mac)}
    line = next(iter(home.only(Stitch))).explain().splitlines()[0]
    assert line.startswith(f"ip link add stitch0 netns {lab.underlay.netns} ")
    assert line.endswith("type vxlan id 77 local 192.0.2.1 dstport 14789 nolearning")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("node-2, node-3", "node-2", "on no machine: node-3"),
        ("node-2, node-3", "node-1, node-2, node-3", "on two machines: node-1"),
        ("node-2, node-3", "node-2, node-3, node-4", "not in the lab: node-4"),
        ("192.0.2.2", "192.0.2.1", "each one is another's"),
        ("192.0.2.2", "2001:db8::1", "of one family"),
        ("192.0.2.2", "b.example.org", "is no address"),
        ("vni: 77", "", "vni: a number"),
        ("vni: 77", "vni: 16777216", "vni: a number"),
        ("vni: 77", "vni: 7\nports: 9", "unknown: ports"),
        ("a: {", "c: {", "no machine is called a"),
    ],
)
def test_a_file_that_is_wrong_says_where(old: str, new: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        require(read(FILE.replace(old, new), "share.yaml", "a"), cluster())
