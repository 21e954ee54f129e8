"""Breakages by hand: shell lines that break a lab in the kernel, and the cause that ``diagnose`` must name for each.

``{n1}`` and ``{n2}`` are the nodes, ``{client}``, ``{near}`` (node-1), ``{server}`` and ``{guarded}`` (node-2) the Pods,
``{app}`` a Pod whose process listens by itself, ``{sw}`` the underlay; ``{server4}`` is the server's address, ``{mac}``
its MAC address, ``{vip}`` the address of Service web.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

NFT = "ip netns exec {%s} nft"


@dataclass(frozen=True)
class Breakage:
    """``kinds`` are patterns of the right kinds, ``place`` the owners (``|`` between them); ``planes``: where it is tried."""

    name: str
    lines: str
    kinds: tuple[str, ...]
    place: str
    planes: tuple[str, ...] = ("vxlan",)
    interface: str = ""


def table(netns: str, family: str, hook: str, rule: str, priority: str = "0", type_: str = "filter") -> str:
    """Lines that make a foreign table with one rule."""
    nft = f"ip netns exec {{{netns}}} nft"
    return (
        f"{nft} 'add table {family} strange; add chain {family} strange c {{{{ type {type_} hook {hook} "
        f"priority {priority}; }}}}; add rule {family} strange c {rule}'"
    )


EVERY = (
    "vxlan",
    "flannel-vxlan",
    "host-gw",
    "calico-bgp",
    "calico-vxlan",
    "wireguard",
    "geneve",
    "ipip",
    "calico-ipip",
)

BREAKAGES = (
    # links
    Breakage("tunnel down", "ip -n {n2} link set vxlan0 down", ("link-down",), "node-2", interface="vxlan0"),
    Breakage("tunnel gone", "ip -n {n1} link del vxlan0", ("link-missing",), "node-1", interface="vxlan0"),
    Breakage("tunnel's port", "ip -n {n2} link del vxlan0; ip -n {n2} link add vxlan0 address {vtep2} mtu 1450 type vxlan"
             " id 1 dstport 4790 local {node2} dev eth0 nolearning; ip -n {n2} link set vxlan0 up",
             ("tunnel", "link-changed"), "node-2", interface="vxlan0"),
    Breakage("tunnel's VNI", "ip -n {n2} link del vxlan0; ip -n {n2} link add vxlan0 address {vtep2} mtu 1450 type vxlan"
             " id 2 dstport 4789 local {node2} dev eth0 nolearning; ip -n {n2} link set vxlan0 up",
             ("tunnel", "link-changed"), "node-2", interface="vxlan0"),
    Breakage("tunnel's MAC", "ip -n {n2} link set vxlan0 address 02:00:00:00:00:ff", ("mac-address",), "node-2"),
    Breakage("bridge down", "ip -n {n2} link set cni0 down", ("link-down",), "node-2", ("vxlan", "host-gw")),
    Breakage("node's link down", "ip -n {n2} link set eth0 down", ("link-down",), "node-2", EVERY),
    Breakage("Pod's link down", "ip -n {server} link set eth0 down", ("link-down",), "default/server", EVERY),
    Breakage("Pod's host end down", "ip -n {n2} link set {veth} down", ("link-down",), "node-2"),
    Breakage("Pod's link gone", "ip -n {server} link del eth0", ("link-missing",), "node-2", ("vxlan", "calico-bgp")),
    Breakage("port detached", "ip -n {n2} link set {veth} nomaster", ("port-detached",), "node-2"),
    Breakage("port isolated", "bridge -n {n1} link set dev {nearveth} isolated on; bridge -n {n1} link set dev"
             " {clientveth} isolated on", ("port-isolated",), "node-1"),
    Breakage("small MTU at the underlay", "ip -n {n2} link set eth0 mtu 1300", ("mtu",), "node-2"),
    Breakage("small MTU at a Pod", "ip -n {server} link set eth0 mtu 600", ("mtu",), "default/server", ("vxlan", "host-gw")),
    # addresses
    Breakage("Pod's address gone", "ip -n {server} addr flush dev eth0", ("address-missing",), "default/server",
             ("vxlan", "calico-bgp")),
    Breakage("bridge's address gone", "ip -n {n2} -4 addr flush dev cni0", ("address-missing",), "node-2"),
    Breakage("address twice", "ip -n {near} addr add {server4}/32 dev eth0", ("address-extra",), "default/near"),
    Breakage("node takes a Pod's address", "ip -n {n1} addr add {server4}/32 dev lo", ("address-extra",), "node-1",
             ("vxlan", "host-gw", "wireguard")),
    # routes
    Breakage("route to the other node gone", "ip -n {n1} route del {cidr2}", ("route-missing",), "node-1",
             ("vxlan", "flannel-vxlan", "host-gw", "geneve", "ipip")),
    Breakage("way back gone", "ip -n {n2} route del {cidr1}", ("route-missing",), "node-2", ("vxlan", "host-gw", "wireguard")),
    Breakage("Pod's default route gone", "ip -n {client} route del default", ("route-missing",), "default/client", EVERY),
    Breakage("blackhole", "ip -n {n1} route add blackhole {server4}/32", ("route-extra",), "node-1", EVERY),
    Breakage("wrong next hop", "ip -n {n1} route replace {cidr2} via {node2ghost} dev eth0", ("route-wrong",), "node-1",
             ("host-gw",)),
    Breakage("rule to a foreign table", "ip -n {n1} rule add to {cidr2} blackhole pref 50", ("ip-rule",), "node-1", EVERY),
    # neighbours and forwarding entries
    Breakage("FDB entry to a ghost", "bridge -n {n1} fdb replace {vtep2} dev vxlan0 dst 10.99.99.99 self permanent",
             ("fdb-wrong",), "node-1"),
    Breakage("FDB entry gone", "bridge -n {n1} fdb del {vtep2} dev vxlan0 dst {node2}", ("fdb-missing",), "node-1"),
    Breakage("tunnel's neighbour gone", "ip -n {n1} neigh flush dev vxlan0 nud permanent", ("neighbour-missing",), "node-1"),
    Breakage("Pod's gateway has a wrong MAC", "ip -n {client} neigh replace {gw1} lladdr 02:00:00:00:00:99 dev eth0"
             " nud permanent", ("neighbour-extra", "neighbour-wrong"), "default/client", ("vxlan", "host-gw")),
    # settings
    Breakage("forwarding off", "ip netns exec {n2} sysctl -qw net.ipv4.ip_forward=0", ("sysctl-forwarding",), "node-2", EVERY),
    Breakage("IPv6 forwarding off", "ip netns exec {n1} sysctl -qw net.ipv6.conf.all.forwarding=0",
             ("sysctl-forwarding",), "node-1"),
    Breakage("ARP ignored", "ip netns exec {server} sysctl -qw net.ipv4.conf.eth0.arp_ignore=8", ("sysctl-arp-ignore",),
             "default/server"),
    Breakage("time to live", "ip netns exec {client} sysctl -qw net.ipv4.ip_default_ttl=1", ("sysctl-ip-default-ttl",),
             "default/client"),
    # rules
    Breakage("Service's rules flushed", NFT % "n1" + " flush table ip kube-proxy", ("service-rules",), "node-1", EVERY),
    Breakage("Service's table deleted", NFT % "n1" + " delete table ip kube-proxy", ("service-rules",), "node-1"),
    Breakage("policy's table deleted", NFT % "n2" + " delete table inet netlab-policy", ("rules",), "node-2", EVERY),
    Breakage("firewall drops forwarded", table("n2", "ip", "forward", "tcp dport 80 drop"), ("foreign-rules",), "node-2", EVERY),
    Breakage("firewall rejects", table("n1", "inet", "forward", "reject with icmpx admin-prohibited"), ("foreign-rules",),
             "node-1"),
    Breakage("tunnel's port filtered", table("n2", "inet", "input", "udp dport 4789 drop"), ("foreign-rules",), "node-2"),
    Breakage("underlay filters", table("sw", "bridge", "forward", "ip protocol udp drop"), ("foreign-rules",), "underlay"),
    Breakage("foreign DNAT", table("n1", "ip", "prerouting", "ip daddr {server4} tcp dport 80 dnat to {near4}:80", "-150", "nat"),
             ("foreign-rules",), "node-1"),
    Breakage("loss by rule", table("n1", "ip", "forward", "numgen random mod 100 lt 50 drop"), ("foreign-rules",), "node-1"),
    Breakage("a Pod's own firewall", table("server", "inet", "input", "tcp dport 80 drop"), ("foreign-rules",), "default/server"),
    # queues
    Breakage("loss by netem", "tc -n {n2} qdisc replace dev {veth} root netem loss 60%", ("qdisc",), "node-2"),
    Breakage("rate limit", "tc -n {server} qdisc replace dev eth0 root tbf rate 8kbit burst 1600 limit 3000", ("qdisc",),
             "default/server"),
    # processes and files
    Breakage("agent killed", "kill -9 $(cat /run/netlab/{lab}/agent.pid)", ("process-missing",), "default/client"),
    Breakage("process stopped", "kill -STOP $(ip netns pids {app} | tail -1)", ("process-stopped",), "default/app"),
    Breakage("resolv.conf", "sed -i 's/^nameserver.*/nameserver 10.96.0.99/' /etc/netns/{client}/resolv.conf", ("file",),
             "default/client"),
)  # fmt: skip


def lab(plane: str, name: str) -> str:
    """The documents of the lab that is broken."""
    documents: list[dict[str, object]] = [
        {
            "apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": name},
            "spec": {
                "dataplane": plane, "ipFamilies": ["IPv4", "IPv6"], "nodes": [{"name": "node-1"}, {"name": "node-2"}],
                "external": [{"name": "internet", "address": "203.0.113.10"}],
            },
        },
        *(pod(name, node, app) for name, node, app in (
            ("client", "node-1", "client"), ("near", "node-1", "web"), ("server", "node-2", "web"),
            ("guarded", "node-2", "guarded"))),
        pod("app", "node-1", "app", command=["python3", "-m", "http.server", "8000"], port=8000),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
         "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "nodePort": 30080}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "guard"},
         "spec": {"podSelector": {"matchLabels": {"app": "guarded"}}, "policyTypes": ["Ingress"],
                  "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}]}},
    ]  # fmt: skip
    return "\n---\n".join(json.dumps(document) for document in documents)


def pod(name: str, node: str, app: str, port: int = 80, **container: object) -> dict[str, object]:
    """A Pod that serves a port."""
    main = {"name": "main", "image": "x", "ports": [{"containerPort": port}], **container}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [main]},
    }  # fmt: skip


def sh(line: str) -> str:
    """A shell line's output; raises where the line fails."""
    done = subprocess.run(["sh", "-ec", line], capture_output=True, text=True, check=False, timeout=60)
    assert not done.returncode, f"{line}\n{done.stderr}"
    return done.stdout


def names(name: str) -> dict[str, str]:
    """What the lines of breakages name, in a running lab."""
    named = {pod: f"{name}-{pod}" for pod in ("client", "near", "server", "guarded", "app")}
    named |= {"n1": f"{name}-node-1", "n2": f"{name}-node-2", "sw": f"{name}-underlay", "lab": name}
    for pod in ("client", "near", "server"):
        named[f"{pod}4"] = address(named[pod])
    named |= {"node1": address(named["n1"]), "node2": address(named["n2"])}
    one, two = named["client4"].rpartition(".")[0], named["server4"].rpartition(".")[0]
    named |= {"cidr1": f"{one}.0/24", "cidr2": f"{two}.0/24", "gw1": f"{one}.1"}
    named["node2ghost"] = f"{named['node2'].rpartition('.')[0]}.99"
    named |= {
        word: _host_end(named[pod], named[node])
        for word, pod, node in (("veth", "server", "n2"), ("nearveth", "near", "n1"), ("clientveth", "client", "n1"))
    }
    for number, node in (("1", "n1"), ("2", "n2")):
        tunnels = [link for link in _links(named[node]) if link["ifname"] == "vxlan0"]
        named[f"vtep{number}"] = tunnels[0]["address"] if tunnels else ""
    mac = next(link["address"] for link in _links(named["server"]) if link["ifname"] == "eth0")
    bridged = any(link["ifname"] == "cni0" for link in _links(named["n2"]))
    return named | {
        "mac": mac, "gw2": f"{two}.1", "server4off": f"{two}.77", "vtepip1": f"{one}.0",
        "podside": "cni0" if bridged else named["veth"], "vip": _service(named["n1"]),
    }  # fmt: skip


def _links(netns: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(sh(f"ip -n {netns} -j link"))
    return found


def address(netns: str, version: int = 4) -> str:
    """The first address of eth0 that others reach."""
    (link,) = json.loads(sh(f"ip -j -n {netns} -{version} addr show dev eth0 scope global"))
    return str(link["addr_info"][0]["local"])


def _service(node: str) -> str:
    """The address of Service web, as the rules of a node have it."""
    text = sh(f"ip netns exec {node} nft list table ip kube-proxy")
    return re.search(r"([\d.]+) \. tcp \. 80 : goto service-\S*default/web", text)[1]  # type: ignore[index]


def _host_end(pod: str, node: str) -> str:
    index = next(link["link_index"] for link in _links(pod) if link["ifname"] == "eth0")
    return str(next(link["ifname"] for link in _links(node) if link["ifindex"] == index))


def right(breakage: Breakage, document: dict[str, Any]) -> bool:
    """Whether the first cause is the right one, at the right place."""
    if not document["causes"]:
        return False
    first = document["causes"][0]
    here = first["place"]["name"] in breakage.place.split("|") and breakage.interface in ("", first["interface"])
    return here and any(fnmatchcase(first["kind"], kind) for kind in breakage.kinds)


def heal(named: dict[str, str]) -> None:
    """Remove what ``up`` leaves alone: the tables of others."""
    for netns in (named["n1"], named["n2"], named["sw"], named["server"], named["client"]):
        for family in ("ip", "inet", "bridge"):
            sh(f"ip netns exec {netns} nft 'delete table {family} strange' 2>/dev/null || true")
