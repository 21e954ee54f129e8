"""Labs in which an address of a node may mean many things, and every flow that asks which."""

from __future__ import annotations

import random
from ipaddress import ip_interface
from typing import Any

from netlab.model import Cluster
from netlab.objects import Addr
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, Endpoint, Flow
from netlab.plan import desired
from netlab.planes import ROWS, Speaks

_HOST_IPS = ("127.0.0.1", "::1", "172.18.0.2", "fd00:172:18::2", "10.244.1.1")
# Nodes' own, inner ones, a host's, a router's, nobody's: a Service may state each as an externalIP.
_OUTSIDE = (
    "172.18.0.2", "172.18.0.3", "172.18.1.2", "fd00:172:18::2", "fd00:172:18::3", "10.244.1.1", "10.244.1.0",
    "10.244.2.0", "10.32.1.1", "203.0.113.10", "198.51.100.7", "2001:db8:7::7", "172.18.0.99", "172.18.0.1",
)  # fmt: skip
_RANGES = (
    "203.0.113.0/24", "10.244.1.0/24", "172.18.0.0/16", "10.244.0.0/16", "2001:db8::/32", "fd00:10:244::/56",
)  # fmt: skip
_PEERS: tuple[dict[str, Any], ...] = (
    {"podSelector": {"matchLabels": {"app": "client"}}},
    {"podSelector": {"matchLabels": {"app": "other"}}},
    *({"ipBlock": {"cidr": one}} for one in ("172.18.0.0/16", "203.0.113.0/24", "10.244.1.0/31", "fd00:172:18::/48")),
)
_ASKED = ((9100, "TCP"), (9, "TCP"), (80, "TCP"), (8080, "TCP"), (8081, "TCP"), (1234, "TCP"), (5353, "UDP"))


def draw(seed: int, plane: str) -> list[dict[str, Any]]:
    """The documents of a random lab on a data plane; the same for the same seed."""
    return _Draw(random.Random(seed), plane).documents()


class _Draw:
    def __init__(self, chance: random.Random, plane: str) -> None:
        self.chance, self.plane = chance, plane
        choices = [["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]]
        self.families = chance.choice([each for each in choices if set(each) <= set(ROWS[plane].families)])

    def happens(self, share: float) -> bool:
        return self.chance.random() < share

    def usable(self, addresses: tuple[str, ...]) -> list[str]:
        return [one for one in addresses if ("IPv6" if ":" in one else "IPv4") in self.families]

    def documents(self) -> list[dict[str, Any]]:
        lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": self.lab()}
        services = [self.service(number) for number in range(self.chance.choice([0, 1, 1, 2]))]
        return [lab, *self.pods(), *services, *([self.policy()] if self.happens(0.5) else [])]

    def lab(self) -> dict[str, Any]:
        nodes = [{"name": "node-1"}, {"name": "node-2"}]
        spec: dict[str, Any] = {"dataplane": self.plane, "ipFamilies": self.families, "nodes": nodes}
        if self.happens(0.7):
            spec["external"] = [{"name": "internet", "addresses": self.usable(("203.0.113.10", "2001:db8::10"))}]
        if self.happens(0.3):
            spec["underlay"] = {
                "kind": "routed",
                "learnsPodRoutes": self.happens(0.6),
                "dropForeignSources": self.happens(0.5),
            }
            for number, node in enumerate(nodes):
                node["rack"] = self.chance.choice(["rack-1", f"rack-{number + 1}"])
        elif self.happens(0.2):
            spec["underlay"] = {"kind": "flat", "dropForeignSources": True}
        return spec

    def pods(self) -> list[dict[str, Any]]:
        mapped: list[dict[str, Any]] = [{"containerPort": 80, "hostPort": 8080}]
        if self.happens(0.5):
            mapped.append({"containerPort": 81, "hostPort": 8081, "hostIP": self.chance.choice(self.usable(_HOST_IPS))})
        if self.happens(0.5):
            mapped.append({"containerPort": 53, "hostPort": 5353, "protocol": "UDP"})
        plain = [{"containerPort": 9100}]
        wanted = [
            (0.9, _pod("client", "node-1", plain)),
            (0.9, _pod("other", "node-2", plain)),
            (0.8, _pod("agent", "node-1", plain, host=True)),
            (0.6, _pod("agent-2", "node-2", plain, host=True)),
            (1.0, _pod("web", self.chance.choice(["node-1", "node-2"]), mapped)),
            (0.6, _pod("web-2", self.chance.choice(["node-1", "node-2"]), [{"containerPort": 80}], app="web")),
        ]
        return [pod for share, pod in wanted if self.happens(share)]

    def service(self, number: int) -> dict[str, Any]:
        choose, kind = self.chance.choice, self.chance.choice(["ClusterIP", "NodePort", "LoadBalancer"])
        app = choose(["web", "web", "agent", "none", "client"])
        port = {"port": choose([80, 8080, 9100, 1234]), "targetPort": choose([80, 80, 9100])}
        spec: dict[str, Any] = {"type": kind, "selector": {"app": app}, "ports": [port]}
        if len(self.families) > 1:
            spec["ipFamilyPolicy"] = choose(["SingleStack", "PreferDualStack"])
        if self.happens(0.6):
            # What nobody has of the Pods' networks is no externalIP of anybody's.
            held = [
                one for one in self.usable(_OUTSIDE) if ROWS[self.plane].speaks is Speaks.TUNNEL or one[-2:] != ".0"
            ]
            held = [one for one in held if not ROWS[self.plane].blackholes or one != "10.244.1.1"]
            # Two Services may not share an address.
            spec["externalIPs"] = self.chance.sample(held[number::2], min(len(held[number::2]), choose([1, 2])))
        if kind != "ClusterIP" or "externalIPs" in spec:
            spec["externalTrafficPolicy"] = choose(["Local", "Cluster"])
        spec["internalTrafficPolicy"] = "Local" if self.happens(0.2) else "Cluster"
        if kind == "LoadBalancer":
            spec["allocateLoadBalancerNodePorts"] = self.happens(0.8)
            if self.happens(0.5):
                spec["loadBalancerSourceRanges"] = self.chance.sample(_RANGES, 2)
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"service-{number}"}, "spec": spec}

    def policy(self) -> dict[str, Any]:
        app = self.chance.choice(["web", "web", "client"])
        way, ends = self.chance.choice([("ingress", "from"), ("egress", "to")]) if app == "web" else ("egress", "to")
        spec: dict[str, Any] = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": [way.capitalize()]}
        if self.happens(0.8):
            rule: dict[str, Any] = {ends: self.chance.sample(_PEERS, self.chance.choice([1, 2]))}
            if self.happens(0.3):
                rule["ports"] = [{"port": self.chance.choice([80, 8080])}]
            spec[way] = [rule]
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "np"}, "spec": spec}


def _pod(name: str, node: str, ports: list[dict[str, Any]], *, host: bool = False, app: str = "") -> dict[str, Any]:
    containers = [{"name": "c", "image": "x", "ports": ports}]
    spec = {"nodeName": node, "hostNetwork": host, "containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app or name}}, "spec": spec}


def asked(cluster: Cluster) -> list[Flow]:
    """Every Pod, node and host outside to every address of the lab, by the ports that mean something and some that do not."""
    known = Endpoints(cluster)
    own = [one for one in cluster.services if not one.system]
    addresses = {str(ip_interface(one.address).ip) for one in desired(cluster).values() if isinstance(one, Addr)}
    addresses |= {str(one) for service in own for one in (*service.cluster_ips, *service.outside_ips)}
    ports = {*_ASKED, *((port.node_port, port.protocol) for one in own for port in one.ports if port.node_port)}
    return list(
        dict.fromkeys(
            Flow.to(source, Endpoint(ADDRESS, address, "", (address,)), address, port, protocol)
            for source in (*known.pods.values(), *known.nodes.values(), *known.external.values())
            for address in sorted({*addresses, "127.0.0.1", "::1"})
            if any((":" in one) == (":" in address) for one in source.addresses)
            for port, protocol in sorted(ports)
        )
    )
