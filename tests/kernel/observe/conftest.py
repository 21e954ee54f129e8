"""A bed for the prober: Pods on bridges, and responders, made without netlab's own builder.

``node``s are namespaces with a bridge that is the Pods' gateway; between two nodes a plain veth with routes.  Responders
are the agent's own, in one process, without its sandboxes and its socket.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from netlab.model.cluster import Cluster, Node, Pod, Port, Underlay
from netlab.observe.neighbours import StaticNeighbour

ROOT = Path(__file__).resolve().parents[3]
_SERVE = """
import json, os, sys
from netlab.runtime.agent.responders.endpoints import Endpoints
from netlab.runtime.agent.loop import Loop
loop = Loop()
asked = json.load(sys.stdin)
made, errors = Endpoints(loop, os.open("/", os.O_RDONLY)).listen(asked)
print(json.dumps(errors), flush=True)
loop.run()
"""


def sh(line: str) -> str:
    return subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout


def batch(lines: Iterable[str], netns: str = "") -> None:
    argv = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
    done = subprocess.run(argv, input="\n".join(lines), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Bed:
    """``nodes`` x ``pods`` Pods of two families; Pod p<i>-<j> is on node i; ports 80/TCP, 53/UDP, 5000/SCTP."""

    def __init__(self, nodes: int = 1, pods: int = 2, *, v6: bool = True) -> None:
        self.name = f"hp-t{os.environ.get('NETLAB_TESTS_RUN', '')}w-{uuid.uuid4().hex[:5]}"
        self.families = ("IPv4", "IPv6") if v6 else ("IPv4",)
        self._process: subprocess.Popen[str] | None = None
        ports = (Port(80, "TCP", "http", "main"), Port(53, "UDP", "dns", "main"), Port(5000, "SCTP", "sig", "main"))
        made_nodes, made_pods = [], []
        for i in range(1, nodes + 1):
            cidrs = [ip_network(f"10.244.{i}.0/24")] + ([ip_network(f"fd00:244:0:{i}::/64")] if v6 else [])
            under = [ip_interface(f"172.18.0.{i}/24")] + ([ip_interface(f"fd00:172::{i}/64")] if v6 else [])
            made_nodes.append(
                Node(f"node-{i}", i, f"{self.name}-node-{i}", tuple(under), tuple(cidrs), f"0a:01:00:{i:02x}:00:00")
            )
            for j in range(2, pods + 2):
                at = [ip_interface(f"{cidr[j]}/{cidr.prefixlen}") for cidr in cidrs]
                name, mac = f"p{i}-{j}", f"0a:04:00:{i:02x}:{j >> 8:02x}:{j & 255:02x}"
                netns = f"{self.name}-{name}"
                made_pods.append(Pod("default", name, f"node-{i}", netns, tuple(at), j, mac, (), ports))
        everywhere = (ip_network("172.18.0.0/24"),)
        self.cluster = Cluster(
            self.name,
            "host-gw",
            tuple(made_nodes),
            tuple(made_pods),
            {"default": {}},
            Underlay("flat", everywhere, (), f"{self.name}-underlay", ""),
            self.families,
        )

    def pod(self, name: str) -> Pod:
        return next(pod for pod in self.cluster.pods if pod.name == name)

    def up(self) -> Bed:
        under = f"{self.name}-underlay"
        names = [under, *(node.netns for node in self.cluster.nodes), *(pod.netns for pod in self.cluster.pods)]
        for name in names:
            sh(f"ip netns add {name}")
        batch(["link add br0 type bridge mcast_snooping 0", "link set br0 up"], under)
        for node in self.cluster.nodes:
            self._node(node, under)
        for pod in self.cluster.pods:
            self._pod(pod)
        # Bridge ports forward only after the kernel's link watch has run (up to 1 s); IPv6 link-local addresses, which
        # neighbour discovery needs, are tentative for 1 to 2 s.
        for here, there in zip(self.cluster.pods, reversed(self.cluster.pods), strict=True):
            for at in there.addresses:
                sh(f"ip netns exec {here.netns} ping -c 1 -i 0.1 -w 20 {at.ip}")
        return self

    def _node(self, node: Node, under: str) -> None:
        sh(f"ip netns exec {node.netns} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
           " net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")  # fmt: skip
        lines = ["link set lo up", "link add cni0 type bridge mcast_snooping 0", "link set cni0 up",
                 f"link add eth0 type veth peer name n{node.number} netns {under}", "link set eth0 up"]  # fmt: skip
        lines += [f"addr add {cidr[1]}/{cidr.prefixlen} dev cni0 nodad" for cidr in node.pod_cidrs]
        lines += [f"addr add {at} dev eth0 nodad" for at in node.addresses]
        for other in self.cluster.nodes:
            if other is not node:
                lines += [
                    f"route add {cidr} via {at.ip}" for cidr, at in zip(other.pod_cidrs, other.addresses, strict=True)
                ]
        batch(lines, node.netns)
        batch([f"link set n{node.number} master br0 up"], under)

    def _pod(self, pod: Pod) -> None:
        node = self.cluster.node(pod.node)
        batch(["link set lo up",
               f"link add eth0 address {pod.mac} type veth peer name v{pod.serial} netns {node.netns}",
               *(f"addr add {at} dev eth0 nodad" for at in pod.addresses), "link set eth0 up",
               *(f"route add default via {cidr[1]}" for cidr in node.pod_cidrs)], pod.netns)  # fmt: skip
        batch([f"link set v{pod.serial} master cni0 up"], node.netns)

    def serve(self, *, liar: dict[str, str] | None = None, only: Iterable[Pod] | None = None) -> Bed:
        """Start the responders; ``liar`` maps a Pod's name to the one that it says it is."""
        asked: list[dict[str, Any]] = [
            {
                "netns": f"/run/netns/{pod.netns}",
                "pod": (liar or {}).get(pod.name, pod.name),
                "namespace": pod.namespace,
                "node": pod.node,
                "addresses": [str(at.ip) for at in pod.addresses],
                "families": list(self.families),
                "ports": [{"port": port.port, "protocol": port.protocol, "container": "main"} for port in pod.ports],
            }
            for pod in (self.cluster.pods if only is None else only)
        ]
        argv = [sys.executable, "-c", _SERVE]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked))
        self._process.stdin.close()
        assert self._process.stdout.readline().strip() == "[]"
        return self

    def stop(self, signal: int) -> None:
        assert self._process
        self._process.send_signal(signal)

    def nft(self, netns: str, rules: str) -> None:
        subprocess.run(
            ["ip", "netns", "exec", netns, "nft", "-f", "-"],
            input=rules.replace("} }", "}\n}") + "\n",
            text=True,
            check=True,
        )

    def down(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()
        nodes, pods = self.cluster.nodes, self.cluster.pods
        for name in [f"{self.name}-underlay", *(node.netns for node in nodes), *(pod.netns for pod in pods)]:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class IpNeighbours:
    """Static neighbours by the ``ip`` command: slow, and independent of netlab's own netlink."""

    def __init__(self) -> None:
        self.now: set[StaticNeighbour] = set()
        self.most = 0

    def add(self, entries: Iterable[StaticNeighbour]) -> None:
        new = list(entries)
        self._each(new, "replace {address} lladdr {mac} dev {dev} nud permanent")
        self.now |= set(new)
        self.most = max(self.most, len(self.now))

    def remove(self, entries: Iterable[StaticNeighbour]) -> None:
        gone = list(entries)
        self._each(gone, "del {address} dev {dev}")
        self.now -= set(gone)

    @staticmethod
    def _each(entries: list[StaticNeighbour], form: str) -> None:
        for netns in {entry.netns for entry in entries}:
            batch(["neigh " + form.format(**entry._asdict()) for entry in entries if entry.netns == netns], netns)


@pytest.fixture
def make_bed() -> Iterator[Callable[..., Bed]]:
    made: list[Bed] = []

    def make(*args: Any, **options: Any) -> Bed:
        made.append(Bed(*args, **options))
        return made[-1].up()

    yield make
    for bed in made:
        bed.down()


@pytest.fixture(scope="module")
def shared() -> Iterator[Bed]:
    """Two nodes with two Pods each, all well, nobody changes it."""
    bed = Bed(2, 2)
    try:
        yield bed.up().serve()
    finally:
        bed.down()


@pytest.fixture
def ip_neighbours() -> IpNeighbours:
    return IpNeighbours()
