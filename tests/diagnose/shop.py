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
    named |= {f"{each}6": breakages.address(named[each], 6) for each in ("client", "near")}
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
CLIENT = {"from": [_select("client")]}
SHOP_3 = (
    Breakage("route to a Pod by a wrong link", "ip -n {n2} route replace {server4} dev eth0", ("route-wrong",), "node-2", ("calico-bgp",)),
    Breakage("half of Pods' replies by a rule", rules("n3", "inet", "postrouting", "ip daddr {cidr1} numgen inc mod 2 0 drop"), FOREIGN, "node-3", ("host-gw",)),
    Breakage("SYN of one port to nobody", rules("client", "inet", "output", "tcp dport 80 tcp flags syn / fin,syn,rst,ack drop"), FOREIGN, "default/client", ("vxlan",)),
    Breakage("bridge filters what it forwards", "ip netns exec {n1} nft 'add table bridge strange; add chain bridge strange c {{ type filter hook forward priority 0; }}; add rule bridge strange c ether type ip drop'", FOREIGN, "node-1", ("weave", "flannel-vxlan")),
    Breakage("DNS answers from another address", rules("n1", "ip", "prerouting", "udp dport 53 dnat to {near4}:53", type_="nat", priority="-120"), FOREIGN, "node-1", ("kindnet",)),
    Breakage("no ICMP at all", rules("n2", "inet", "prerouting", "meta l4proto {{ icmp, ipv6-icmp }} drop", priority="-300"), FOREIGN, "node-2", ("host-gw",)),
    Breakage("node's own firewall: only ssh", rules("n2", "inet", "input", "iif lo accept", "tcp dport 22 accept", "ct state established accept", "drop"), FOREIGN, "node-2", ("vxlan",)),
    Breakage("IPv6 address twice", "ip -n {near} addr add {client6}/128 dev eth0 nodad", ("address-extra",), "default/near", ("kindnet",)),
    Breakage("IPv6 default route of a Pod gone", "ip -6 -n {server} route del default", ("route-missing",), "default/server", ("vxlan",)),
    Breakage("IPv6 neighbour of a ghost", "ip -6 -n {client} neigh replace {near6} lladdr 02:00:00:00:99:01 dev eth0 nud permanent", ("neighbour-*",), "default/client", ("host-gw",)),
    Breakage("MTU of one Pod's end and a big answer", "ip -n {db} link set eth0 mtu 1000; ip -n {db} route replace default via {gw2} mtu lock 1000 advmss 40", ("mtu", "route-*"), "shop/db", ("vxlan",)),
    Breakage("tunnel device without its bridge port of the underlay", "ip -n {sw} -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/' | grep node-3 | while read p; do ip -n {sw} link set $p nomaster; done", ("port-*",), "underlay", ("calico-vxlan",)),
    Breakage("api's link moved to another bridge", "ip -n {n1} link add br9 type bridge; ip -n {n1} link set br9 up; ip -n {n1} link set {nearveth} master br9", ("port-detached", "foreign-link", "port-*"), "node-1", ("host-gw",)),
    Breakage("ports of clients are the node ports", sysctl("server", ipv4__ip_unprivileged_port_start=0) + "; ip -n {server} rule add iif lo sport 80 unreachable pref 3", ("ip-rule",), "default/server", ("calico-bgp",)),
    Breakage("conntrack of an earlier zone", rules("n2", "ip", "prerouting", "ip saddr {client4} ct zone set 5", priority="-310"), FOREIGN, "node-2", ("vxlan",)),
    # manifests
    Breakage("ingress by a namespace without Pods", put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "empty"}}, policy("db-guard", "db", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "empty"}}}]}])), ANY, "shop/db-guard", ("vxlan",)),
    Breakage("only ipBlock of nodes", put(policy("api-guard", "api", ingress=[{"from": [{"ipBlock": {"cidr": "172.18.0.0/16"}}]}])), ANY, "shop/api-guard", ("host-gw",)),
    Breakage("egress to the own namespace alone", put(policy("front-out", "front", egress=[{"to": [{"podSelector": {}}]}])), ANY, "shop/front-out|shop/front", ("kindnet",)),
    Breakage("DNS by TCP alone", put(policy("front-out", "front", egress=[TO_API, {**DNS, "ports": [{"port": 53, "protocol": "TCP"}]}])), ANY, "shop/front-out|shop/front", ("calico-bgp",)),
    Breakage("port 5353 for 53", put(policy("front-out", "front", egress=[TO_API, {**DNS, "ports": [{"port": 5353, "protocol": "UDP"}]}])), ANY, "shop/front-out|shop/front", ("weave",)),
    Breakage("matchExpressions NotIn turned round", put(policy("db-guard", "db", ingress=[{"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["api", "front", "db"]}]}}], "ports": [{"port": 5432}]}])), ANY, "shop/db-guard", ("vxlan",)),
    Breakage("selector of two Deployments", apply("Service", "web", {"type": "NodePort", "selector": {"app": "guarded"}, "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]}), ANY, "default/web", ("kindnet",)),
    Breakage("ExternalName of nobody", put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"}, "spec": {"type": "ExternalName", "externalName": "db.shp.svc.cluster.local"}}), ANY, "shop/db", ("host-gw",)),
    Breakage("Service of endpoints by hand", put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "old", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}, {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "old-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "old"}}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.244.1.200"]}], "ports": [{"port": 8080, "name": ""}]}), ANY, "shop/old", ("vxlan",)),
    Breakage("policy for two labels, of which Pods have one", put({**policy("api-guard", "api"), "spec": {"podSelector": {"matchLabels": {"app": "api", "tier": "back"}}, "policyTypes": ["Ingress"], "ingress": [{"from": [_select("front")]}]}}), ANY, "shop/api-guard", ("calico-bgp",)),
    Breakage("ingress from a host that is not allowed", put(policy("web-guard", "web", "default", ingress=[{"from": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}])), ANY, "default/web-guard", ("vxlan",)),
    Breakage("deny of the server's egress", put(policy("web-out", "web", "default", egress=[])), ANY, "default/web-out", ("weave",)),
)  # fmt: skip
SHOP_4 = (
    Breakage("way back by another node", "ip -n {n2} route replace {cidr1} via {node3}", ("route-wrong",), "node-2", ("kindnet", "host-gw")),
    Breakage("IPv6 of a Pod by the loopback", "ip -6 -n {server} addr flush dev eth0 scope global; ip -6 -n {server} addr add fd00:10:244:2::77/64 dev eth0 nodad; ip -6 -n {server} route replace default via fe80::1 dev eth0", ("address-*", "route-*"), "default/server", ("vxlan",)),
    Breakage("a dropping set of sources", "ip netns exec {n3} nft 'add table inet strange; add set inet strange bad {{ type ipv4_addr; flags interval; elements = {{ 10.0.0.0/9 }}; }}; add chain inet strange c {{ type filter hook forward priority -5; }}; add rule inet strange c ip saddr @bad ct state new drop'", FOREIGN, "node-3", ("host-gw", "calico-bgp")),
    Breakage("Service's address routed to a Pod", "ip -n {n1} route add {vip}/32 via {near4}", ("route-extra",), "node-1", ("weave",)),
    Breakage("translated to the node itself", rules("n1", "ip", "prerouting", "ip daddr {vip} tcp dport 80 redirect to :8888", type_="nat", priority="-150"), FOREIGN, "node-1", ("vxlan",)),
    Breakage("client sends from a strange address", rules("client", "ip", "postrouting", "snat to 192.0.2.50", type_="nat", priority="100"), FOREIGN, "default/client", ("host-gw",)),
    Breakage("route of the Pod has the wrong source", "ip -n {api} addr add 10.99.0.1/32 dev lo; ip -n {api} route replace $(ip -n {api} -4 route show default) src 10.99.0.1", ("route-*", "address-*"), "shop/api", ("vxlan",)),
    Breakage("forwarding off for one interface of IPv6", sysctl("n2", ipv6__conf__all__forwarding=0), ("sysctl-forwarding",), "node-2", ("calico-bgp",)),
    Breakage("the node's routes in another table", "ip -n {n1} rule del pref 32766; ip -n {n1} rule add pref 32766 lookup 88", ("ip-rule",), "node-1", ("host-gw",)),
    Breakage("near is down", "ip -n {n1} link set {nearveth} down", ("link-*",), "node-1|default/near", ("kindnet",)),
    Breakage("Pod listens no more on TCP from other networks", rules("db", "inet", "input", "ip saddr 10.244.3.0/24 tcp dport 5432 reject"), FOREIGN, "shop/db", ("vxlan",)),
    Breakage("redirected DNS", rules("front", "inet", "output", "udp dport 53 redirect to :5353", type_="nat", priority="-100"), FOREIGN, "shop/front", ("calico-vxlan",)),
    Breakage("resolv.conf with a comment alone", "echo '# managed' > /etc/netns/{front}/resolv.conf", ("file",), "shop/front", ("host-gw",)),
    Breakage("wrong search order", "sed -i 's/shop.svc/default.svc/' /etc/netns/{front}/resolv.conf", ("file",), "shop/front", ("vxlan",)),
    Breakage("server process killed for good", "for i in 1 2 3; do kill -9 $(ip netns pids {app} | tail -1); sleep 0.3; done", ("process-*", "pod-*", "container-*"), "default/app", ("weave",)),
    Breakage("fragments dropped", rules("n3", "inet", "prerouting", "ip frag-off & 0x3fff != 0 drop", "meta length gt 1200 drop", priority="-450"), FOREIGN, "node-3", ("flannel-vxlan",)),
    # manifests
    Breakage("policy in default for Pods of shop", "{netlab} delete --lab {lab} -n shop networkpolicy db-guard\n" + put(policy("db-guard", "db", "default", ingress=[{"from": [_select("api")], "ports": [{"port": 5432}]}])), ANY, "default/db-guard", ("vxlan",)),
    Breakage("dash too few: and for or", put(policy("api-guard", "api", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, **_select("front")}]}])), ANY, "shop/api-guard", ("kindnet",)),
    Breakage("headless Service with a wrong port", put(service("db", "db", clusterIP="None", ports=[{"port": 5433}])), ANY, "shop/db", ("host-gw",)),
    Breakage("two policies, of which the second isolates for egress", put(policy("api-more", "api", ingress=[{}], egress=[{"to": [_select("front")]}]), policy("api-out", "api", egress=[])), ANY, "shop/api-more|shop/api-out", ("calico-bgp",)),
    Breakage("session affinity and no backend", put(service("api", "apis", sessionAffinity="ClientIP", ports=[{"port": 80, "targetPort": "http"}])), ANY, "shop/api", ("weave",)),
    Breakage("except of Pods' network for a Pod", put(policy("front-out", "front", egress=[DNS, {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.244.0.0/16"]}}]}])), ANY, "shop/front-out|shop/front", ("vxlan",)),
    Breakage("DNS allowed to the Service's address", put(policy("front-out", "front", egress=[TO_API, {"to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]}])), ANY, "shop/front-out|shop/front", ("host-gw",)),
    Breakage("ingress from the world and not from Pods", put(policy("web-guard", "web", "default", ingress=[{"from": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}])), ANY, "default/web-guard", ("vxlan",)),
    Breakage("upper-case label", put(policy("api-guard", "api", ingress=[{"from": [{"podSelector": {"matchLabels": {"App": "front"}}}], "ports": [{"port": 8080}]}])), ANY, "shop/api-guard", ("kindnet",)),
    Breakage("backend's port by the name of another Pod's", put(service("front", "front", ports=[{"port": 80, "targetPort": "http"}])), ANY, "shop/front", ("calico-bgp",)),
    Breakage("Exists on a label that nobody has", put(policy("db-guard", "db", ingress=[{"from": [{"podSelector": {"matchExpressions": [{"key": "role", "operator": "Exists"}]}}]}])), ANY, "shop/db-guard", ("weave",)),
    Breakage("external traffic local, backend on one node of three", put(service("front", "front", type="NodePort", externalTrafficPolicy="Local", ports=[{"port": 80, "targetPort": 8000, "nodePort": 30091}])), ANY, "shop/front", ("host-gw",)),
    Breakage("SCTP for TCP in the policy", put(policy("api-guard", "api", ingress=[{"from": [_select("front")], "ports": [{"port": 8080, "protocol": "SCTP"}]}])), ANY, "shop/api-guard", ("vxlan",)),
    Breakage("selector's value of another Pod without that port", put(service("api", "db", ports=[{"port": 80, "targetPort": "http"}])), ANY, "shop/api", ("kindnet",)),
)  # fmt: skip
SETS = {"shop-1": SHOP_1, "shop-2": SHOP_2, "shop-3": SHOP_3, "shop-4": SHOP_4}
