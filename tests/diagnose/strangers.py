"""Breakages by hand that ``diagnose`` was not written for: each in words of the field, with the right place.

Names in braces are those of ``tests/kernel/diagnose/breakages.py``.  ``kinds`` are patterns of kinds.  The first half of
each sort may serve while diagnose is mended; what is ``held_out`` must not.
"""

from __future__ import annotations

import json

from tests.kernel.diagnose.breakages import Breakage, table

IP = ("vxlan", "host-gw", "calico-bgp")
APPLY = "{netlab} apply --lab {lab} -f - <<'END'\n%s\nEND"


def sysctl(netns: str, **values: object) -> str:
    """A line that sets sysctls; ``__`` in a name stands for a dot."""
    words = " ".join(f"net.{name.replace('__', '.')}={value}" for name, value in values.items())
    return f"ip netns exec {{{netns}}} sysctl -qw {words}"


def rules(netns: str, family: str, hook: str, *lines: str, priority: str = "0", type_: str = "filter") -> str:
    """A foreign table of several rules."""
    more = (f"ip netns exec {{{netns}}} nft 'add rule {family} strange c {line}'" for line in lines[1:])
    return "; ".join((table(netns, family, hook, lines[0], priority, type_), *more))


def apply(kind: str, name: str, spec: dict[str, object], version: str = "v1", **metadata: object) -> str:
    """A line that applies an object."""
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
    return APPLY % json.dumps(body).replace("{", "{{").replace("}", "}}")


def deny(name: str, **spec: object) -> str:
    """A line that applies a NetworkPolicy."""
    return apply("NetworkPolicy", name, spec, "networking.k8s.io/v1")


FOREIGN = ("foreign-rules", "foreign-rule")
WRITTEN = (
    "service-*",
    "selector-*",
    "closed-port",
    "policy-*",
    "peer-*",
    "default-deny",
    "egress-*",
    "lead*",
    "not-*",
    "named-*",
    "port-undeclared",
)

STRANGERS = (
    # links
    Breakage("bridge's MAC is another Pod's", "ip -n {n1} link set cni0 address 02:00:00:00:77:01", ("mac-address", "neighbour-*"), "node-1"),
    Breakage("Pod's MAC changed", "ip -n {server} link set eth0 address 02:00:00:00:77:02", ("mac-address",), "default/server", ("calico-bgp", "vxlan")),
    Breakage("two Pods with a MAC", "ip -n {near} link set eth0 address $(ip -n {client} -j link show eth0 | sed 's/.*\"address\":\"\\([^\"]*\\)\".*/\\1/')", ("mac-address",), "default/near"),
    Breakage("bridge with a small MTU", "ip -n {n1} link set cni0 mtu 700", ("mtu",), "node-1"),
    Breakage("host end with a small MTU", "ip -n {n2} link set {veth} mtu 900", ("mtu",), "node-2|default/server", IP),
    Breakage("tunnel with a small MTU", "ip -n {n1} link set vxlan0 mtu 600", ("mtu",), "node-1"),
    Breakage("ARP off at the Pod", "ip -n {server} link set eth0 arp off", ("link-*", "noarp", "no-neighbour"), "default/server"),
    Breakage("ARP off at the bridge", "ip -n {n2} link set cni0 arp off", ("link-*", "no-neighbour"), "node-2"),
    Breakage("Pod's link renamed", "ip -n {server} link set eth0 down; ip -n {server} link set eth0 name net1; ip -n {server} link set net1 up", ("link-*",), "default/server|node-2", ("vxlan", "calico-bgp")),
    Breakage("host end in another namespace", "ip -n {n2} link set {veth} netns {sw}", ("link-*",), "node-2|default/server"),
    # bridge ports
    Breakage("port disabled", "bridge -n {n2} link set dev {veth} state 0", ("port-*",), "node-2"),
    Breakage("flooding and learning off", "bridge -n {n2} link set dev {veth} flood off learning off; bridge -n {n2} fdb flush dev {veth} 2>/dev/null || true", ("port-*", "no-port", "fdb-*"), "node-2"),
    Breakage("hairpin off", "bridge -n {n1} link set dev {nearveth} hairpin off", ("port-hairpin",), "node-1"),
    Breakage("uplink's port disabled", "ip -n {sw} -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/' | grep node-2 | while read p; do bridge -n {sw} link set dev $p state 0; done", ("port-*",), "underlay"),
    Breakage("static forwarding entry elsewhere", "bridge -n {n2} fdb replace {mac} dev $(ip -n {n2} -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/' | grep -v -e '^eth0$' -e '^{veth}$' | head -1) master static", ("fdb-*",), "node-2"),
    Breakage("VLAN filtering", "ip -n {n2} link set cni0 type bridge vlan_filtering 1; bridge -n {n2} vlan del dev {veth} vid 1", ("link-*", "port-*", "vlan*"), "node-2"),
    Breakage("underlay isolates its ports", "for p in $(ip -n {sw} -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/'); do bridge -n {sw} link set dev $p isolated on 2>/dev/null || true; done", ("port-isolated",), "underlay", IP),
    # addresses
    Breakage("Pod's mask too wide", "ip -n {client} addr del {client4}/24 dev eth0; ip -n {client} addr add {client4}/8 dev eth0; ip -n {client} route replace default via {gw1}", ("address-*", "route-*"), "default/client"),
    Breakage("Pod's mask too narrow", "ip -n {client} addr del {client4}/24 dev eth0; ip -n {client} addr add {client4}/31 dev eth0", ("address-*", "route-*"), "default/client"),
    Breakage("Pod's address off by one", "ip -n {server} addr flush dev eth0 scope global; ip -n {server} addr add {server4off}/24 dev eth0; ip -n {server} route add default via {gw2}", ("address-*",), "default/server"),
    Breakage("node's address twice", "ip -n {n1} addr add {node2}/32 dev lo", ("address-extra",), "node-1", IP),
    Breakage("node's address gone", "ip -n {n2} addr del {node2}/24 dev eth0", ("address-*",), "node-2", ("vxlan", "calico-bgp")),
    Breakage("neighbour has the gateway's address", "ip -n {near} addr add {gw1}/24 dev eth0; ip -n {client} neigh flush dev eth0", ("address-extra",), "default/near"),
    Breakage("Service's address at a node", "ip -n {n1} addr add {vip}/32 dev lo", ("address-extra",), "node-1", IP),
    Breakage("Service's address at a Pod", "ip -n {client} addr add {vip}/32 dev lo", ("address-extra",), "default/client"),
    Breakage("loopback down in the Pod", "ip -n {near} link set lo down", ("loopback-down",), "default/near"),
    # routes and rules
    Breakage("more specific route to a ghost", "ip -n {n1} route add {server4}/32 via {node2ghost} dev eth0 onlink", ("route-extra",), "node-1", IP),
    Breakage("source address hint", "ip -n {client} addr add 192.0.2.7/32 dev eth0; ip -n {client} route replace default via {gw1} src 192.0.2.7", ("route-*", "address-extra"), "default/client"),
    Breakage("default route elsewhere", "ip -n {client} route replace default via {near4} dev eth0", ("route-*",), "default/client"),
    Breakage("cheaper default route", "ip -n {n1} route add {server4}/32 dev cni0 metric 1", ("route-extra",), "node-1"),
    Breakage("unreachable half of the world", "ip -n {n2} route add unreachable 203.0.113.0/24", ("route-extra",), "node-2", IP),
    Breakage("prohibit by rule for a source", "ip -n {n1} rule add from {client4} prohibit pref 100", ("ip-rule",), "node-1", IP),
    Breakage("rule to an empty table and a default", "ip -n {n2} rule add iif eth0 to {server4} table 77 pref 90; ip -n {n2} route add blackhole default table 77", ("ip-rule", "route-extra"), "node-2", IP),
    Breakage("rule by mark", rules("n1", "ip", "prerouting", "ip saddr {client4} meta mark set 0x55", priority="-150") + "; ip -n {n1} rule add fwmark 0x55 blackhole pref 60", ("ip-rule", *FOREIGN), "node-1", IP),
    Breakage("local table after main", "ip -n {n2} rule add pref 32000 table local; ip -n {n2} rule del pref 0", ("ip-rule",), "node-2"),
    Breakage("route with a tiny MTU", "ip -n {client} route replace default via {gw1} mtu lock 300; ip -n {server} route replace default via {gw2} advmss 100", ("route-*",), "default/client|default/server"),
    Breakage("route by the wrong device", "ip -n {n1} route replace {cidr2} dev cni0", ("route-wrong",), "node-1", ("vxlan", "host-gw")),
    Breakage("underlay's way outside gone", "ip -n {n1} route del default", ("route-missing",), "node-1", IP),
    Breakage("throw in the Pod", "ip -n {client} route add throw {cidr2}; ip -n {client} route add prohibit {server4}", ("route-extra",), "default/client", IP),
    # neighbours and forwarding entries
    Breakage("neighbour of the node is a ghost", "ip -n {n1} neigh replace {node2} lladdr 02:00:00:00:77:03 dev eth0 nud permanent", ("neighbour-*",), "node-1", IP),
    Breakage("Pod's neighbour entry at its node", "ip -n {n2} neigh replace {server4} lladdr 02:00:00:00:77:04 dev {podside} nud permanent", ("neighbour-*",), "node-2", IP),
    Breakage("Pod believes its neighbour elsewhere", "ip -n {client} neigh replace {near4} lladdr 02:00:00:00:77:05 dev eth0 nud permanent", ("neighbour-*",), "default/client"),
    Breakage("forwarding entry to the own node", "bridge -n {n2} fdb del {vtep1} dev vxlan0 dst {node1}; bridge -n {n2} fdb add {vtep1} dev vxlan0 dst {node2} self permanent", ("fdb-wrong", "fdb-missing"), "node-2"),
    Breakage("tunnel's neighbour is wrong", "ip -n {n2} neigh replace $(ip -n {n2} neigh show dev vxlan0 nud permanent | grep -v : | head -1 | cut -d' ' -f1 || true) lladdr 02:00:00:00:77:06 dev vxlan0 nud permanent 2>/dev/null || ip -n {n2} neigh replace {vtepip1} lladdr 02:00:00:00:77:06 dev vxlan0 nud permanent", ("neighbour-wrong",), "node-2"),
    # settings
    Breakage("reverse path, strict, way back elsewhere", sysctl("n2", ipv4__conf__all__rp_filter=1, ipv4__conf__eth0__rp_filter=1, ipv4__conf__vxlan0__rp_filter=1) + "; ip -n {n2} route replace {cidr1} via {node1} dev eth0", ("sysctl-rp-filter", "route-*"), "node-2"),
    Breakage("proxy ARP off", "for c in $(ip netns exec {n2} ls /proc/sys/net/ipv4/conf | grep cali); do ip netns exec {n2} sysctl -qw net.ipv4.conf.$c.proxy_arp=0; done", ("sysctl-proxy-arp",), "node-2", ("calico-bgp",)),
    Breakage("proxy ARP for everything", sysctl("n1", ipv4__conf__cni0__proxy_arp=1, ipv4__conf__cni0__proxy_arp_pvlan=1), ("sysctl-*",), "node-1"),
    Breakage("Pod does not answer pings of ARP", sysctl("near", ipv4__conf__all__arp_ignore=8), ("sysctl-arp-ignore",), "default/near", ("vxlan", "calico-bgp")),
    Breakage("accept_local and route_localnet", sysctl("n1", ipv4__conf__eth0__forwarding=0), ("sysctl-forwarding",), "node-1", IP),
    Breakage("conntrack forgets", sysctl("n1", netfilter__nf_conntrack_tcp_timeout_syn_sent=1) + "; " + rules("n1", "ip", "prerouting", "ct state new,established,related,invalid tcp flags & (syn|ack) == (syn|ack) drop", priority="-140"), FOREIGN, "node-1", ("vxlan", "calico-bgp")),
    Breakage("IPv6 off in a Pod", sysctl("server", ipv6__conf__all__disable_ipv6=1), ("sysctl-disable-ipv6", "address-*"), "default/server", IP),
    Breakage("few ports for clients", sysctl("client", ipv4__ip_local_port_range="'60000 60000'"), ("sysctl-*",), "default/client"),
    Breakage("IPv6 hop limit", sysctl("client", ipv6__conf__all__hop_limit=1, ipv6__conf__eth0__hop_limit=1), ("sysctl-*",), "default/client"),
    # rules of others
    Breakage("bogon filter", rules("n2", "ip", "prerouting", "ip saddr 10.0.0.0/8 tcp flags syn drop", priority="-300"), FOREIGN, "node-2", IP),
    Breakage("limit on new connections", rules("n1", "inet", "forward", "ct state new limit rate 1/hour burst 1 packets accept", "ct state new drop"), FOREIGN, "node-1", IP),
    Breakage("ct count", rules("server", "inet", "input", "tcp dport 80 ct state new ct count over 0 drop"), FOREIGN, "default/server"),
    Breakage("reset by a middlebox", rules("n2", "ip", "forward", "ip daddr {server4} meta l4proto tcp reject with tcp reset"), FOREIGN, "node-2", IP),
    Breakage("masquerade of everything", rules("n2", "ip", "postrouting", "masquerade", type_="nat", priority="50"), FOREIGN, "node-2", ("vxlan",)),
    Breakage("untracked packets", rules("n1", "ip", "prerouting", "ip saddr {client4} notrack", priority="-310"), FOREIGN, "node-1", IP),
    Breakage("conntrack zone by interface", rules("n1", "ip", "prerouting", 'iifname "eth0" ct zone set 7', 'iifname "vxlan0" ct zone set 7', 'iifname "cni0" ct original zone set 9', priority="-310"), FOREIGN, "node-1"),
    Breakage("TTL set by a rule", rules("n2", "ip", "prerouting", "ip daddr {server4} ip ttl set 1", priority="-200"), FOREIGN, "node-2", IP),
    Breakage("checksum spoilt", rules("n1", "ip", "postrouting", "ip daddr {server4} tcp checksum set 0x1234", priority="200"), FOREIGN, "node-1", ("host-gw",)),
    Breakage("egress of the node's underlay", rules("n2", "inet", "output", 'oifname "eth0" udp dport 4789 drop'), FOREIGN, "node-2"),
    Breakage("netdev ingress", "ip netns exec {n1} nft 'add table netdev strange; add chain netdev strange c {{ type filter hook ingress device eth0 priority 0; }}; add rule netdev strange c ip protocol udp drop'", FOREIGN, "node-1"),
    Breakage("ARP table drops", rules("server", "arp", "input", "arp operation request drop"), FOREIGN, "default/server", ("vxlan", "calico-bgp")),
    Breakage("neighbour discovery filtered", rules("n2", "ip6", "input", "icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} drop"), FOREIGN, "node-2", IP),
    Breakage("DNS filtered at a node", rules("n1", "inet", "forward", "udp dport 53 drop"), FOREIGN, "node-1", IP),
    Breakage("redirect to a dead proxy", rules("client", "ip", "output", "tcp dport 80 redirect to :15001", type_="nat", priority="-100"), FOREIGN, "default/client", IP),
    Breakage("large packets dropped", rules("n2", "ip", "forward", "ip length gt 1000 drop"), FOREIGN, "node-2", IP),
    Breakage("one source is banned", rules("n2", "inet", "forward", "ip saddr {client4} drop"), FOREIGN, "node-2", IP),
    # the lab's own rules
    Breakage("Service's chain emptied", "ip netns exec {n1} nft flush chain ip kube-proxy $(ip netns exec {n1} nft list table ip kube-proxy | sed -n 's/^.chain \\(service[^ ]*default.web[^ ]*\\) {{.*/\\1/p' | head -1)", ("service-rules",), "node-1"),
    Breakage("policy's set emptied", "for s in $(ip netns exec {n2} nft list table inet netlab-policy | sed -n 's/^.set \\([^ ]*\\) {{.*/\\1/p'); do ip netns exec {n2} nft flush set inet netlab-policy $s; done", ("rules",), "node-2", IP),
    Breakage("drop in front of the policy", "ip netns exec {n2} nft insert rule inet netlab-policy ingress tcp dport 80 drop", ("rules", "foreign-rule"), "node-2", IP),
    Breakage("masquerade's rules gone", "ip netns exec {n1} nft delete table ip netlab", ("rules", "service-rules"), "node-1"),
    # queues and filters of tc
    Breakage("tc drops at ingress", "tc -n {n2} qdisc add dev {veth} clsact; tc -n {n2} filter add dev {veth} ingress protocol ip matchall action drop", ("qdisc", "tc-*"), "node-2", IP),
    Breakage("tc drops at egress of the node", "tc -n {n1} qdisc add dev eth0 clsact; tc -n {n1} filter add dev eth0 egress protocol ip prio 1 matchall action drop", ("qdisc", "tc-*"), "node-1", IP),
    Breakage("tc policer", "tc -n {n2} qdisc add dev {veth} clsact; tc -n {n2} filter add dev {veth} egress protocol ip matchall action police rate 8kbit burst 200 conform-exceed drop", ("qdisc", "tc-*"), "node-2"),
    Breakage("a queue of one packet", "tc -n {n1} qdisc replace dev eth0 root tbf rate 8kbit burst 1500 limit 1500", ("qdisc",), "node-1"),
    Breakage("link takes two seconds", "tc -n {n1} qdisc replace dev eth0 root netem delay 2500ms", ("qdisc",), "node-1", IP),
    Breakage("corrupted packets", "tc -n {n2} qdisc replace dev eth0 root netem corrupt 80%", ("qdisc",), "node-2"),
    # processes and files
    Breakage("dead name server first", "sed -i '1i nameserver 192.0.2.53' /etc/netns/{near}/resolv.conf", ("file", "nameserver", "resolv-conf"), "default/near"),
    Breakage("process killed again and again", "kill -9 $(ip netns pids {app}); sleep 0.2; kill -9 $(ip netns pids {app}) 2>/dev/null || true", ("process-*", "pod-not-ready", "container-crashes"), "default/app"),
    Breakage("resolv.conf empty", ": > /etc/netns/{client}/resolv.conf", ("file",), "default/client", IP),
    Breakage("search list gone", "sed -i '/^search/d' /etc/netns/{near}/resolv.conf", ("file",), "default/near"),
    Breakage("hosts file says other", "echo '192.0.2.1 web web.default' >> /etc/netns/{near}/hosts", ("file",), "default/near", IP),
    # manifests
    Breakage("selector misspelt", apply("Service", "web", {"type": "NodePort", "selector": {"app": "webb"}, "ports": [{"port": 80, "nodePort": 30080}]}), WRITTEN, "default/web", IP),
    Breakage("targetPort misspelt", apply("Service", "web", {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8081, "nodePort": 30080}]}), WRITTEN, "default/web", IP),
    Breakage("targetPort of no name", apply("Service", "web", {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http", "nodePort": 30080}]}), WRITTEN, "default/web"),
    Breakage("policy that allows nobody", deny("guard", podSelector={"matchLabels": {"app": "guarded"}}, policyTypes=["Ingress"], ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "clent"}}}]}]), WRITTEN, "default/guard", IP),
    Breakage("policy of another port", deny("guard", podSelector={"matchLabels": {"app": "guarded"}}, policyTypes=["Ingress"], ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": 8080}]}]), WRITTEN, "default/guard", IP),
    Breakage("policy without DNS", deny("out", podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}]), WRITTEN, "default/out|default/client", IP),
    Breakage("policy's namespace label", deny("guard", podSelector={"matchLabels": {"app": "guarded"}}, policyTypes=["Ingress"], ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"name": "default"}}}]}]), WRITTEN, "default/guard"),
    Breakage("local traffic without a backend", apply("Service", "web", {"type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": "guarded"}, "ports": [{"port": 80, "nodePort": 30080}]}), (*WRITTEN, "external*"), "default/web"),
)  # fmt: skip
