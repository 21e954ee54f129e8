"""``get`` of what the kernel has, held against ip, bridge, sysctl and nft themselves; and ``--watch``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.kernel


@pytest.fixture
def up(kit: Any, lab: str, netlab: Callable[..., Any]) -> Callable[..., Any]:
    kit.up(kit.spec(lab, [("client", "node-1"), ("near", "node-1"), ("server", "node-2")], dataplane="flannel-vxlan"))
    return lambda *words, check=0: netlab(*words, check=check, env={"NETLAB_LAB": lab})


def rows(up: Callable[..., Any], *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = up("get", *words, "-o", "json").json
    return found


def ip(kit: Any, line: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kit.sh(line) or "[]")
    return [one for one in found if one]


def test_links_are_those_that_ip_shows(kit: Any, lab: str, up: Callable[..., Any]) -> None:
    every = rows(up, "links")
    assert {one["netns"] for one in every} == {
        f"{lab}-{one}" for one in ("node-1", "node-2", "client", "near", "server", "underlay")
    }
    for netns in sorted({one["netns"] for one in every}):
        mine = {one["name"]: one for one in every if one["netns"] == netns}
        theirs = {one["ifname"]: one for one in ip(kit, f"ip -n {netns} -d -j link")}
        assert mine.keys() == theirs.keys()
        for name, link in theirs.items():
            row = mine[name]
            assert (row["index"], row["mtu"], row["mac"]) == (link["ifindex"], link["mtu"], link["address"])
            assert (row["state"], row["qdisc"], row["alias"]) == (
                link["operstate"],
                link["qdisc"],
                link.get("ifalias", ""),
            )
            assert row["master"] == link.get("master", "")
            assert row["altnames"] == link.get("altnames", [])
            assert set(row["flags"]) <= set(link["flags"]) | {"UP"}
            kind = link.get("linkinfo", {}).get("info_kind", link["link_type"])
            assert row["type"] == kind
    vxlan = next(one for one in every if one["name"] == "flannel.1")
    assert vxlan["details"].items() >= {"id": 1, "dstport": 8472, "dev": "eth0", "learning": False}.items()
    port = next(one for one in every if one["master"] == "cni0")
    assert port["port"].items() >= {"hairpin": True, "state": "forwarding", "isolated": False}.items()
    peers = {f"{one['netns']}/{one['name']}": one["peer"] for one in every if one["type"] == "veth"}
    assert all(peers[peer] == name for name, peer in peers.items()), "each end names the other"
    # One namespace's links name their peers all the same.
    assert {one["peer"] for one in rows(up, "links", "client")} == {"", peers[f"{lab}-client/eth0"]}


def test_addresses_routes_and_neighbours_are_those_that_ip_shows(kit: Any, lab: str, up: Callable[..., Any]) -> None:
    kit.sh(f"ip -n {lab}-node-1 route add blackhole 10.99.0.0/24 proto bird metric 7")
    kit.sh(f"ip -n {lab}-node-1 route add 10.98.0.0/24 nexthop via 172.18.0.3 nexthop via 172.18.0.1 weight 3")
    # Of a neighbour that ARP finds not; the kernel of a busy host forgets what it learned by itself.
    kit.sh(f"ip -n {lab}-client neigh add 10.244.1.99 dev eth0 nud failed extern_learn")
    for netns in (f"{lab}-node-1", f"{lab}-client", f"{lab}-underlay"):
        addresses = {(one["dev"], one["address"], one["scope"]) for one in rows(up, "addr", netns)}
        assert addresses == {
            (link["ifname"], f"{one['local']}/{one['prefixlen']}", one["scope"])
            for link in ip(kit, f"ip -n {netns} -j addr")
            for one in link["addr_info"]
        }
        routes = {
            (one["dst"], one["via"], one["dev"], one["src"], one["scope"], one["protocol"], one["type"], one["metric"])
            for one in rows(up, "routes", netns)
            if one["family"] == "IPv4" and one["table"] == "main"
        }
        assert routes == {
            (
                one["dst"],
                one.get("gateway", ""),
                one.get("dev", ""),
                one.get("prefsrc", ""),
                one.get("scope", "global"),
                one.get("protocol", "boot"),
                one.get("type", "unicast"),
                one.get("metric", 0),
            )
            for one in ip(kit, f"ip -n {netns} -j route")
        }
        neighbours = {(one["address"], one["dev"], one["mac"]) for one in rows(up, "neigh", netns)}
        assert neighbours == {
            (one["dst"], one["dev"], one.get("lladdr", "")) for one in ip(kit, f"ip -n {netns} -j neigh")
        }
    hops = next(one["nexthops"] for one in rows(up, "route", "node-1") if one["dst"] == "10.98.0.0/24")
    assert [(hop["via"], hop["dev"], hop["weight"]) for hop in hops] == [
        ("172.18.0.3", "eth0", 1),
        ("172.18.0.1", "eth0", 3),
    ]
    states = {one["address"]: one["state"] for one in rows(up, "neigh", "client")}
    assert states.pop("10.244.1.99") == "FAILED"
    assert set(states.values()) == {"PERMANENT"}
    text = up("get", "routes", "node-1").stdout
    assert "onlink" in text and "127.0.0.0/8" not in text, "table local is shown by -o wide alone, as ip does"
    assert "127.0.0.0/8" in up("get", "routes", "node-1", "-o", "wide").stdout


def test_fdb_is_what_bridge_shows_with_what_was_learned(kit: Any, lab: str, up: Callable[..., Any]) -> None:
    kit.ping(f"{lab}-client", "10.244.1.3")
    found = rows(up, "fdb", "node-1")
    mine = {(one["mac"], one["dev"], one["dst"], one["master"], "self" in one["flags"]) for one in found}
    assert mine == {
        (one["mac"], one["ifname"], one.get("dst", ""), one.get("master", ""), "self" in one.get("flags", []))
        for one in ip(kit, f"bridge -n {lab}-node-1 -j fdb")
    }
    eth0 = next(one["mac"] for one in rows(up, "links", "client") if one["name"] == "eth0")
    assert next(one["state"] for one in found if one["mac"] == eth0) == "learned"


def test_sysctls_with_what_the_lab_says_of_them(kit: Any, lab: str, up: Callable[..., Any]) -> None:
    kit.sh(f"ip netns exec {lab}-node-2 sysctl -qw net.ipv4.ip_forward=0")
    found = {(one["netns"], one["name"]): one for one in rows(up, "sysctls")}
    name = "net.ipv4.ip_forward"
    assert (found[f"{lab}-node-1", name]["value"], found[f"{lab}-node-1", name]["applied"]) == ("1", "1")
    assert (found[f"{lab}-node-2", name]["value"], found[f"{lab}-node-2", name]["applied"]) == ("0", "1")
    chosen = rows(up, "sysctls", "client", "net.ipv4.conf.eth?.rp_*")
    assert [(one["netns"], one["name"], one["applied"]) for one in chosen] == [
        (f"{lab}-client", "net.ipv4.conf.eth0.rp_filter", None)
    ]


def test_nft_lists_chains_and_sets_of_anybody(kit: Any, lab: str, up: Callable[..., Any]) -> None:
    table = (
        "table inet mine { set s { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 80 }; }; chain c { drop; }; }"
    )
    kit.sh(f"ip netns exec {lab}-client nft '{table}'")
    found = {(one["table"], one["name"]): one for one in rows(up, "nft")}
    assert found["mine", "c"]["entries"] == 1
    assert found["mine", "s"]["type"] == "ipv4_addr . inet_service"
    masquerading = found["flannel-ipv4", "postrtg"]
    assert (masquerading["hook"], masquerading["prio"], masquerading["entries"]) == ("postrouting", 100, 6)


def test_which_namespaces_are_meant(lab: str, up: Callable[..., Any]) -> None:
    def shown(*words: str) -> set[str]:
        return {one["netns"].removeprefix(f"{lab}-") for one in rows(up, "links", *words)}

    assert shown("client", "node-2") == {"client", "node-2"}
    assert shown("default/client") == shown(f"{lab}-client") == {"client"}
    assert shown("-l", "app in (client,server)") == {"client", "server"}
    assert shown("-n", "default") == {"client", "near", "server"}
    assert shown("-n", "shop") == set()
    assert "did you mean" in up("get", "links", "clint", check=2).stderr
    assert "No resources found" in up("get", "nft", "client").stderr
    assert 'did you mean "routes"' in up("get", "rotes", check=2).stderr
    assert rows(up, "links", "client")[0]["name"] == "lo"
    assert up("get", "links", "client", "-o", "jsonpath={.items[1].name}").stdout == "eth0\n"


# -- watch ------------------------------------------------------------------------------------------------------------


class Watch:
    """``netlab get ... --watch`` in the background; its lines as they come."""

    def __init__(self, lab: str, *words: str) -> None:
        argv = [sys.executable, "-m", "netlab", "get", *words, "--watch", "--lab", lab]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(60)
        assert self.process.stdout
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def until(self, pattern: str) -> str:
        """The first line that matches; waits a minute for it."""
        for _ in range(1200):
            found = next((line for line in self.lines if re.search(pattern, line)), "")
            if found:
                return found
            time.sleep(0.05)
        pytest.fail(f"no line like {pattern} in {self.lines}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def watch(lab: str) -> Iterator[Callable[..., Watch]]:
    started: list[Watch] = []

    def start(*words: str) -> Watch:
        started.append(Watch(lab, *words))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_watch_prints_what_changes_and_nothing_else(kit: Any, lab: str, up: Any, watch: Any) -> None:
    pods, links = watch("pods", "--output-watch-events"), watch("links", "client")
    pods.until("^ADDED .*server")
    links.until("^ADDED .*eth0")
    time.sleep(0.8)
    assert len(pods.lines) == 1 + 3, "a heading and three Pods: age is no change"
    up("label", "pod", "client", "a=b")
    kit.sh(f"ip -n {lab}-client link set eth0 mtu 1300; ip -n {lab}-client link add br9 type bridge")
    pods.until("^MODIFIED +client")
    links.until("^MODIFIED .*eth0 .* 1300 ")
    links.until("^ADDED .*br9")
    kit.sh(f"ip -n {lab}-client link del br9")
    links.until("^DELETED .*br9")
    assert pods.stop() == 130, "what a shell sees of kubectl"
    assert len(pods.lines) == 1 + 4
    up("down", lab)
    links.until("^DELETED .*eth0")
    assert links.process.wait(60) == 0, "the lab has gone, and so is all that was watched"
