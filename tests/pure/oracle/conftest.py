from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network

import pytest

from netlab.model.cluster import Cluster, Node, Pod, Port, Underlay
from netlab.model.cluster.services import Service, ServicePort

HEADLESS = Service("shop", "web", headless=True, ports=(ServicePort(80),))


def make(*pods: Pod, v6: bool = False) -> Cluster:
    nodes = tuple(
        Node(f"node-{n}", n, f"lab-node-{n}", _both(f"172.18.0.{n + 1}/24", f"fd00:172:18::{n + 1}/64", v6),
             (ip_network(f"10.244.{n}.0/24"),), f"0a:01:00:0{n}:00:00")
        for n in (1, 2)
    )  # fmt: skip
    underlay = Underlay("flat", (ip_network("172.18.0.0/24"),), (), "lab-underlay", "")
    names = {pod.namespace: {} for pod in pods} | {"default": {}, "shop": {}}
    return Cluster("lab", "vxlan", nodes, pods, names, underlay, ("IPv4", "IPv6") if v6 else ("IPv4",),
                   pod_cidrs=(ip_network("10.244.0.0/16"),), services=(HEADLESS,))  # fmt: skip


def _both(four: str, six: str, v6: bool) -> tuple[IPv4Interface | IPv6Interface, ...]:
    return tuple(map(ip_interface, (four, six) if v6 else (four,)))


def pod(
    name: str,
    node: int,
    last: int,
    *ports: Port,
    labels: str = "",
    owner: str = "",
    host: bool = False,
    v6: bool = False,
) -> Pod:
    namespace, _, short = name.rpartition("/")
    namespace = namespace or "default"
    at = _both(f"10.244.{node}.{last}/24", f"fd00:10:244:{node}::{last}/64", v6)
    return Pod(namespace, short, f"node-{node}", f"lab-{short}", at, last, f"0a:04:00:0{node}:00:{last:02x}", (), ports,
               dict(each.split("=") for each in labels.split(",") if each), owner=owner, host_network=host)  # fmt: skip


@pytest.fixture
def shop() -> Cluster:
    """client, server (default); shop: web x2, db x1, an agent in node-1's namespace."""
    return make(
        pod("client", 1, 2),
        pod("server", 2, 2, Port(80, "TCP", "http"), labels="app=server"),
        pod("shop/web-aaaaa", 1, 3, Port(80, "TCP", "http"), labels="app=web,tier=front", owner="Deployment/web"),
        pod("shop/web-bbbbb", 2, 3, Port(80, "TCP", "http"), labels="app=web,tier=front", owner="Deployment/web"),
        pod(
            "shop/db-0", 2, 4, Port(5432, "TCP", "sql"), Port(53, "UDP", "dns"), labels="app=db", owner="StatefulSet/db"
        ),
        pod("shop/agent-x", 1, 5, Port(9100, "TCP", "metrics"), labels="app=agent", owner="DaemonSet/agent", host=True),
    )


@pytest.fixture
def make_cluster() -> Callable[..., Cluster]:
    return make


@pytest.fixture
def make_pod() -> Callable[..., Pod]:
    return pod
