"""What our own decoder reads, held against iproute2's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.objects import Addr, Bridge, Fdb, Neigh, Port, Route, State, Veth, Vxlan
from netlab.runtime.converge import converge

pytestmark = pytest.mark.kernel


def test_every_field_is_what_ip_says(kit: Any, lab: str) -> None:
    want = kit.want(kit.spec(lab, ipFamilies=["IPv4", "IPv6"], mtu=1480))
    with LinuxKernel() as kernel:
        converge(kernel, lab, want)
        kit.sh(f"ip -n {lab}-node-1 route add 10.9.0.0/16 via 172.18.0.3 metric 77 proto bird src 10.244.1.1")
        kit.sh(f"ip -n {lab}-node-1 addr add 10.9.9.1 peer 10.9.9.2/32 dev eth0")
        seen = kernel.observe(lab, want).state
        try:
            for netns in sorted(seen.netns()):
                compare(kit, netns, seen)
        finally:
            converge(kernel, lab, State(), want)


def compare(kit: Any, netns: str, seen: State) -> None:
    def ip(*words: str) -> list[dict[str, Any]]:
        return json.loads(kit.sh(f"ip -n {netns} -j {' '.join(words)}") or "[]")

    links = {one["ifname"]: one for one in ip("-d", "link") if one["ifname"] != "lo"}
    ends = {}
    for veth in seen.only(Veth):
        ends |= {one.name: one for one in (veth.end, veth.peer) if one.netns == netns}
    for device in (*seen.only(Bridge), *seen.only(Vxlan)):
        ends |= {device.name: device.end()} if device.netns == netns else {}
    assert set(ends) == set(links)
    for name, end in ends.items():
        row = links[name]
        assert (end.mac, end.mtu, end.index) == (row["address"], row["mtu"], row["ifindex"])
        assert end.up == ("UP" in row["flags"])
        assert end.addrgen == row["inet6_addr_gen_mode"]
        assert [end.altname] == row.get("altnames", [""])
    for one in seen.only(Vxlan):
        if one.netns == netns:
            data = links[one.name]["linkinfo"]["info_data"]
            told = (data["id"], data.get("local") or data.get("local6"), data["link"], data["port"], data["learning"])
            assert told == (one.vni, one.local, one.lower, one.port, one.learning)
    for port in seen.only(Port):
        if port.netns == netns:
            row = links[port.name]
            flags = row["linkinfo"]["info_slave_data"]
            assert (row["master"], flags["hairpin"], flags["isolated"], flags["learning"]) == (
                port.master,
                port.hairpin,
                port.isolated,
                port.learning,
            )
    addresses = {
        (row["ifname"], f"{one['local']}/{one['prefixlen']}", one.get("address", ""), one["scope"])
        for row in ip("addr")
        if row["ifname"] != "lo"
        for one in row["addr_info"]
        if not (one["family"] == "inet6" and one["scope"] == "link")
    }
    assert addresses == {
        (one.dev, one.address, one.peer.partition("/")[0], one.scope) for one in seen.only(Addr) if one.netns == netns
    }
    for family in ("-4", "-6"):
        routes = {
            (row["dst"], row.get("gateway", ""), row.get("dev", ""), row.get("prefsrc", ""), "onlink" in row["flags"])
            for row in ip(family, "route")
            if row.get("protocol") not in ("kernel", "ra")
        }
        default = "0.0.0.0/0" if family == "-4" else "::/0"
        assert routes == {
            ("default" if one.dst == default else one.dst, one.via, one.dev, one.src, one.onlink)
            for one in seen.only(Route)
            if one.netns == netns and (":" in one.dst) == (family == "-6")
        }
    neighbours = {(row["dev"], row["dst"], row["lladdr"]) for row in ip("neigh") if "PERMANENT" in row["state"]}
    assert neighbours == {(one.dev, one.address, one.mac) for one in seen.only(Neigh) if one.netns == netns}
    rows = json.loads(kit.sh(f"bridge -n {netns} -j fdb show dev vxlan0")) if "vxlan0" in links else []
    assert {(row["mac"], row["dst"]) for row in rows if "dst" in row} == {
        (one.mac, one.dst) for one in seen.only(Fdb) if one.netns == netns
    }
