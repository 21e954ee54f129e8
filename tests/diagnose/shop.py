"""A lab of three nodes and two namespaces, and sets of breakages that were written before diagnose saw any of them.

Each set was run once before anything was mended for it: docs/diagnose.md has what that first run showed.  ``{front}``,
``{api}`` and ``{db}`` are the Pods of namespace shop, on node-1, node-3 and node-2.
"""

from __future__ import annotations

import json

from tests.diagnose.strangers import FOREIGN, apply, rules, sysctl
from tests.kernel.diagnose import breakages
from tests.kernel.diagnose.breakages import Breakage, pod

ANY = ("[!u]*",)  # any kind but unknown and unsteady: the place is what must be right
DNS = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}


def _select(app: str) -> dict[str, object]:
    return {"podSelector": {"matchLabels": {"app": app}}}


def policy(name: str, app: str, namespace: str = "shop", **spec: object) -> dict[str, object]:
    """A NetworkPolicy for the Pods with a label; policyTypes are the rules that it has."""
    types = [word.capitalize() for word in ("ingress", "egress") if word in spec]
    body = {"podSelector": {"matchLabels": {"app": app}} if app else {}, "policyTypes": types, **spec}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace}, "spec": body,
    }  # fmt: skip


def service(name: str, app: str, namespace: str = "shop", **spec: object) -> dict[str, object]:
    """A Service for the Pods with a label."""
    body = {"selector": {"app": app}, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": body}


def put(*documents: dict[str, object]) -> str:
    """A line that applies documents."""
    text = "\n---\n".join(map(json.dumps, documents)).replace("{", "{{").replace("}", "}}")
    return f"{{netlab}} apply --lab {{lab}} -f - <<'END'\n{text}\nEND"


def _pod(name: str, node: str, port: int, **more: object) -> dict[str, object]:
    made = pod(name, node, name, port, **more)
    made["metadata"]["namespace"] = "shop"  # type: ignore[index]
    return made


_API_PORTS = [{"name": "http", "containerPort": 8080}]
DB = _pod("db", "node-2", 5432)
API = _pod("api", "node-3", 8080, ports=_API_PORTS)
UNREADY = _pod(
    "api", "node-3", 8080, ports=_API_PORTS, command=["python3", "-m", "http.server", "8080"],
    readinessProbe={"tcpSocket": {"port": 9999}, "periodSeconds": 1, "failureThreshold": 1},
)  # fmt: skip
DB_GUARD = policy("db-guard", "db", ingress=[{"from": [_select("api")], "ports": [{"port": 5432}]}])
API_GUARD = policy("api-guard", "api", ingress=[{"from": [_select("front")], "ports": [{"port": 8080}]}])
TO_API = {"to": [_select("api")], "ports": [{"port": 8080}]}
TO_DB = {"to": [_select("db")], "ports": [{"port": 5432}]}


def world(*without: str) -> dict[str, object]:
    """A rule to port 443 of everything outside of 10.0.0.0/8 and of further networks."""
    return {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", *without]}}], "ports": [{"port": 443}]}


def lab(plane: str, name: str) -> str:
    """The documents of the lab."""
    documents = [json.loads(text) for text in breakages.lab(plane, name).split("\n---\n")]
    documents[0]["spec"]["nodes"].append({"name": "node-3"})
    documents[0]["spec"]["external"] = [{"name": "internet", "address": "203.0.113.10", "ports": [80, 443]}]
    documents += [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "shop"}}},
        _pod("front", "node-1", 8000, env=[{"name": "API_URL", "value": "http://api/"}]),
        API,
        DB,
        service("api", "api", ports=[{"port": 80, "targetPort": "http"}]),
        service("db", "db", clusterIP="None", ports=[{"port": 5432}]),
        DB_GUARD,
        API_GUARD,
        policy("front-out", "front", egress=[TO_API, DNS]),
        policy("api-out", "api", egress=[TO_DB, DNS, world()]),
    ]
    return "\n---\n".join(map(json.dumps, documents))


def names(name: str) -> dict[str, str]:
    """What the lines name, in a running lab."""
    named = breakages.names(name) | {each: f"{name}-shop-{each}" for each in ("front", "api", "db")}
    podside1 = named["podside"] if named["podside"] == "cni0" else named["nearveth"]
    return named | {"podside1": podside1, "n3": f"{name}-node-3", "node3": breakages.address(f"{name}-node-3")}


SHOP_1 = (
    Breakage("half of a Pod network elsewhere", "ip -n {n1} route add $(echo {cidr2} | sed 's#/24#/25#') via {node2ghost}", ("route-extra",), "node-1", ("host-gw",)),
    Breakage("route to a Pod gone", "ip -n {n2} route del {server4}", ("route-missing",), "node-2", ("calico-bgp",)),
    Breakage("route by a third node", "ip -n {n3} route change {cidr1} via {node2}", ("route-wrong",), "node-3", ("kindnet",)),
    Breakage("ingress of the tunnel", "ip netns exec {n2} nft 'add table netdev strange; add chain netdev strange c {{ type filter hook ingress device vxlan0 priority 0; policy drop; }}'", FOREIGN, "node-2", ("vxlan",)),
    Breakage("uplink's MTU", "ip -n {n2} link set eth0 mtu 900", ("mtu",), "node-2", ("weave",)),
    Breakage("node ignores ARP", sysctl("n3", ipv4__conf__eth0__arp_ignore=8), ("sysctl-arp-ignore",), "node-3", ("calico-vxlan",)),
    Breakage("another node's address", "ip -n {n3} addr add {node1}/24 dev eth0", ("address-extra",), "node-3", ("flannel-vxlan",)),
    Breakage("replies dropped before conntrack", rules("n1", "inet", "prerouting", "ip saddr {server4} drop", priority="-400"), FOREIGN, "node-1", ("host-gw",)),
    Breakage("rule for a port", "ip -n {client} rule add ipproto tcp dport 80 blackhole pref 5", ("ip-rule",), "default/client", ("vxlan",)),
    Breakage("everything lost", "tc -n {n3} qdisc replace dev eth0 root netem loss 100%", ("qdisc",), "node-3", ("calico-bgp",)),
    Breakage("Pod drops its replies", rules("server", "inet", "output", "tcp sport 80 drop"), FOREIGN, "default/server", ("kindnet",)),
    Breakage("flush ruleset", "ip netns exec {n3} nft flush ruleset", ("service-rules", "rules"), "node-3", ("vxlan",)),
    Breakage("search list of another zone", "sed -i 's/cluster[.]local/cluster.lan/g' /etc/netns/{front}/resolv.conf", ("file",), "shop/front", ("weave",)),
    Breakage("DNS Service's address at a Pod", "ip -n {app} addr add 10.96.0.10/32 dev lo", ("address-extra",), "default/app", ("calico-bgp",)),
    Breakage("Services prohibited at a node", "ip -n {n1} route add prohibit 10.96.0.0/12", ("route-extra",), "node-1", ("host-gw",)),
    Breakage("IPv6 routes into the tunnel gone", "ip -6 -n {n1} route flush dev vxlan0", ("route-missing",), "node-1", ("vxlan",)),
    # manifests
    Breakage("selector asks for one label more", apply("Service", "web", {"type": "NodePort", "selector": {"app": "web", "tier": "front"}, "ports": [{"port": 80, "nodePort": 30080}]}), ANY, "default/web", ("vxlan",)),
    Breakage("named targetPort misspelt", put(service("api", "api", ports=[{"port": 80, "targetPort": "htpp"}])), ANY, "shop/api", ("kindnet",)),
    Breakage("targetPort left out", put(service("api", "api", ports=[{"port": 80}])), ANY, "shop/api", ("host-gw",)),
    Breakage("client of another label", put(policy("api-guard", "api", ingress=[{"from": [_select("frontend")], "ports": [{"port": 8080}]}])), ANY, "shop/api-guard", ("weave",)),
    Breakage("Service's port in the policy", put(policy("api-guard", "api", ingress=[{"from": [_select("front")], "ports": [{"port": 80}]}])), ANY, "shop/api-guard", ("calico-bgp",)),
    Breakage("egress without DNS", put(policy("front-out", "front", egress=[TO_API])), ANY, "shop/front-out|shop/front", ("vxlan",)),
    Breakage("DNS by a label that namespaces lack", put(policy("front-out", "front", egress=[TO_API, {**DNS, "to": [{"namespaceSelector": {"matchLabels": {"name": "kube-system"}}}]}])), ANY, "shop/front-out|shop/front", ("kindnet",)),
    Breakage("DNS server's label", put(policy("front-out", "front", egress=[TO_API, {**DNS, "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "coredns"}}}]}])), ANY, "shop/front-out|shop/front", ("host-gw",)),
    Breakage("except takes the peer out", put(policy("api-out", "api", egress=[TO_DB, DNS, world("203.0.113.0/24")])), ANY, "shop/api-out", ("vxlan",)),
    Breakage("headless Service of nobody", put(service("db", "database", clusterIP="None", ports=[{"port": 5432}])), ANY, "shop/db", ("calico-bgp",)),
    Breakage("readiness probe of a wrong port", "{netlab} delete --lab {lab} -n shop pod api\n" + put(UNREADY) + "\nsleep 3", ANY, "shop/api", ("vxlan",)),
    Breakage("source ranges", apply("Service", "web", {"type": "LoadBalancer", "selector": {"app": "web"}, "loadBalancerSourceRanges": ["198.51.100.0/24"], "ports": [{"port": 80, "nodePort": 30080}]}), ANY, "default/web", ("host-gw",)),
    Breakage("namespace and Pod of two places", put(policy("guard", "guarded", "default", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}, **_select("client")}]}])), ANY, "default/guard", ("kindnet",)),
    Breakage("policy type too many", put(policy("api-guard", "api", egress=[], ingress=[{"from": [_select("front")], "ports": [{"port": 8080}]}]), policy("api-out", "none", egress=[])), ANY, "shop/api-guard|shop/api", ("weave",)),
)  # fmt: skip
SHOP_2 = (
    Breakage("bridge gone", "ip -n {n2} link del cni0", ("link-missing",), "node-2", ("host-gw",)),
    Breakage("ports shut by iptables", "ip netns exec {server} iptables -I INPUT -p tcp --dport 80 -j DROP || ip netns exec {server} nft 'add table ip filter; add chain ip filter INPUT {{ type filter hook input priority 0; }}; add rule ip filter INPUT tcp dport 80 drop'", FOREIGN, "default/server", ("calico-bgp",)),
    Breakage("macvlan steals the node's packets", "ip -n {n2} link set eth0 address 02:00:00:00:88:01; ip -n {sw} neigh flush all", ("mac-address",), "node-2", ("kindnet",)),
    Breakage("policy routing by a Pod's network", "ip -n {n3} rule add from {cidr1} lookup 99 pref 40; ip -n {n3} route add unreachable default table 99", ("ip-rule", "route-extra"), "node-3", ("host-gw",)),
    Breakage("only big packets of UDP pass", rules("n1", "inet", "forward", "meta l4proto udp meta length lt 500 drop"), FOREIGN, "node-1", ("vxlan",)),
    Breakage("reset for one client", rules("server", "ip", "input", "ip saddr {client4} tcp dport 80 reject with tcp reset"), FOREIGN, "default/server", ("weave",)),
    Breakage("source translated at the way in", rules("n2", "ip", "input", "ip saddr {node1} snat to 192.0.2.9", type_="nat", priority="100"), FOREIGN, "node-2", ("vxlan",)),
    Breakage("answers of the name server spoilt", rules("n1", "ip", "forward", "udp sport 53 drop"), FOREIGN, "node-1", ("calico-vxlan",)),
    Breakage("Pod's default route by another metric and device", "ip -n {api} route del default; ip -n {api} route add default dev lo", ("route-*",), "shop/api", ("calico-bgp",)),
    Breakage("Pod is its own gateway", "ip -n {db} addr add {gw2}/32 dev lo", ("address-extra",), "shop/db", ("host-gw",)),
    Breakage("headless client cannot name", "printf 'nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:0 timeout:1\n' > /etc/netns/{front}/resolv.conf", ("file",), "shop/front", ("vxlan",)),
    Breakage("hosts file hides the API", "echo '192.0.2.44 api.shop' >> /etc/netns/{front}/hosts", ("file",), "shop/front", ("kindnet",)),
    Breakage("IPv6 off at a node", sysctl("n2", ipv6__conf__all__disable_ipv6=1), ("sysctl-disable-ipv6", "address-*"), "node-2", ("host-gw",)),
    Breakage("address of the tunnel's peer", "ip -n {n3} addr del {node3}/24 dev eth0; ip -n {n3} addr add {node2ghost}/24 dev eth0; ip -n {n3} route add default via $(ip -n {n1} -4 route show default | cut -d' ' -f3)", ("address-*",), "node-3", ("vxlan",)),
    Breakage("translation of a Service to one dead backend", "ip netns exec {n1} nft 'add table ip strange; add chain ip strange c {{ type nat hook prerouting priority -110; }}; add rule ip strange c ip daddr {vip} tcp dport 80 dnat to {server4off}'", FOREIGN, "node-1", ("kindnet",)),
    Breakage("a full queue for ARP", "ip -n {n1} neigh replace {near4} lladdr 02:00:00:00:88:02 dev {podside1} nud permanent", ("neighbour-*",), "node-1", ("weave", "calico-bgp")),
    # manifests
    Breakage("Service in another namespace", "{netlab} delete --lab {lab} -n shop service api\n" + put(service("api", "api", "default", ports=[{"port": 80, "targetPort": "http"}])), ANY, "default/api|shop/front", ("vxlan",)),
    Breakage("UDP for TCP", apply("Service", "web", {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "protocol": "UDP", "nodePort": 30080}]}), ANY, "default/web", ("host-gw",)),
    Breakage("policy allows UDP alone", put(policy("db-guard", "db", ingress=[{"from": [_select("api")], "ports": [{"port": 5432, "protocol": "UDP"}]}])), ANY, "shop/db-guard", ("calico-bgp",)),
    Breakage("port range ends too early", put(policy("api-guard", "api", ingress=[{"from": [_select("front")], "ports": [{"port": 8000, "endPort": 8079}]}])), ANY, "shop/api-guard", ("kindnet",)),
    Breakage("named port of no Pod", put(policy("api-guard", "api", ingress=[{"from": [_select("front")], "ports": [{"port": "web"}]}])), ANY, "shop/api-guard", ("weave",)),
    Breakage("everything denied", put(policy("lockdown", "", ingress=[], egress=[])), ANY, "shop/lockdown", ("host-gw",)),
    Breakage("default namespace denied", put(policy("lockdown", "", "default", ingress=[])), ANY, "default/lockdown", ("vxlan",)),
    Breakage("ipBlock of Service addresses", put(policy("front-out", "front", egress=[{"to": [{"ipBlock": {"cidr": "10.96.0.0/12"}}]}, DNS])), ANY, "shop/front-out|shop/front", ("calico-vxlan",)),
    Breakage("ipBlock of another network", put(policy("api-out", "api", egress=[TO_DB, DNS, {"to": [{"ipBlock": {"cidr": "203.0.112.0/24"}}], "ports": [{"port": 443}]}])), ANY, "shop/api-out", ("vxlan",)),
    Breakage("local traffic at a node without a backend", apply("Service", "web", {"type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": "client"}, "ports": [{"port": 80, "nodePort": 30080}]}), ANY, "default/web", ("kindnet",)),
    Breakage("internal traffic stays local", put(service("api", "api", internalTrafficPolicy="Local", ports=[{"port": 80, "targetPort": "http"}])), ANY, "shop/api", ("host-gw",)),
    Breakage("not ready", "{netlab} delete --lab {lab} -n shop pod api\n" + put(UNREADY) + "\nsleep 3", ANY, "shop/api", ("vxlan",)),
    Breakage("node port of another number", put(service("front", "front", type="NodePort", ports=[{"port": 8000, "targetPort": 8001, "nodePort": 30090}])), ANY, "shop/front", ("calico-bgp",)),
    Breakage("egress to the wrong Pods", put(policy("front-out", "front", egress=[{"to": [_select("db")], "ports": [{"port": 8080}]}, DNS])), ANY, "shop/front-out|shop/front", ("kindnet",)),
    Breakage("guard selects by a label of the Deployment", put(policy("db-guard", "database", ingress=[{"from": [_select("api")], "ports": [{"port": 5432}]}])), ANY, "shop/db-guard", ("host-gw",)),
)  # fmt: skip
SETS = {"shop-1": SHOP_1, "shop-2": SHOP_2}
