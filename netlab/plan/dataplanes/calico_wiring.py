"""Calico's wiring of a Pod: no bridge, a host route per Pod, and a gateway that no interface has.

The Pod's default gateway is 169.254.1.1, which no interface holds: the node answers the Pod's ARP for it by proxy ARP,
on a veth whose MAC is ee:ee:ee:ee:ee:ee on every node.  (Proxy ARP answers only if the node has a route to the address
by another interface: a node without a default route leaves its Pods' ARP unanswered.)  Source: Calico's
cni-plugin/pkg/dataplane/linux/dataplane_linux.go, and Felix' endpoint manager for the sysctls.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab import names
from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Neigh, NftChain, NftSet, NftTable, Obj, Route, Sysctl
from netlab.plan.dataplanes.cni_bridge import veth
from netlab.plan.dataplanes.far import blocks
from netlab.plan.why import node_why, pod_why

HOST_MAC = "ee:ee:ee:ee:ee:ee"
GATEWAY = "169.254.1.1"
GATEWAY6 = "fe80::ecee:eeff:feee:eeee"  # the link-local address that HOST_MAC gives


def veth_name(namespace: str, pod: str) -> str:
    """``cali`` and the first 11 hex digits of the SHA-1 of ``namespace.pod``."""
    return "cali" + names.short_hash(f"{namespace}.{pod}", 11)


def attach(pod: Pod, here: Node, cluster: Cluster) -> Iterator[Obj]:
    """The veth pair, the Pod's /32 and its two routes, the node's route, and the sysctls of the node's end."""
    why = pod_why(pod)
    name = veth_name(pod.namespace, pod.name)
    yield veth(pod, here, cluster, name, HOST_MAC)
    for path, value in _sysctls(name, cluster.families).items():
        yield Sysctl(here.netns, path, value, name, why=why)
    for address in pod.addresses:
        gateway = GATEWAY if address.version == 4 else GATEWAY6
        default = "0.0.0.0/0" if address.version == 4 else "::/0"
        whole = f"{address.ip}/{address.max_prefixlen}"
        yield Addr(pod.netns, "eth0", whole, why=why)
        yield Neigh(pod.netns, "eth0", gateway, HOST_MAC, why=why)
        if address.version == 4:
            yield Route(pod.netns, f"{GATEWAY}/32", dev="eth0", scope="link", why=why)
        yield Route(pod.netns, default, via=gateway, dev="eth0", why=why)
        yield Route(here.netns, whole, dev=name, scope="link", why=why)
        yield Neigh(here.netns, name, str(address.ip), pod.mac, why=why)


def _sysctls(dev: str, families: tuple[str, ...]) -> dict[str, str]:
    wires: dict[str, str] = {}
    if "IPv4" in families:
        wires |= {
            f"net.ipv4.conf.{dev}.route_localnet": "1",
            f"net.ipv4.neigh.{dev}.proxy_delay": "0",
            f"net.ipv4.conf.{dev}.proxy_arp": "1",
            f"net.ipv4.conf.{dev}.forwarding": "1",
        }
    if "IPv6" in families:
        wires |= {
            f"net.ipv6.conf.{dev}.accept_dad": "0",
            f"net.ipv6.conf.{dev}.proxy_ndp": "1",
            f"net.ipv6.conf.{dev}.forwarding": "1",
            f"net.ipv6.conf.{dev}.accept_ra": "0",
        }
    return wires


def aggregates(here: Node, cluster: Cluster, proto: int) -> Iterator[Obj]:
    """A blackhole for each of the node's own blocks: what no Pod there has must not leave by the default route."""
    for block in blocks(here, cluster):
        yield Route(here.netns, str(block), type="blackhole", proto=proto, why=node_why(here))


def nat_outgoing(here: Node, cluster: Cluster) -> Iterator[Obj]:
    """``natOutgoing``: what leaves the IP pools is masqueraded (Felix' nftables tables, priority srcnat + 10)."""
    why = node_why(here)
    for family, version, word in (("ip", 4, "ipv4_addr"), ("ip6", 6, "ipv6_addr")):
        pools = frozenset(str(cidr) for cidr in cluster.pod_cidrs if cidr.version == version)
        if not pools:
            continue
        table = (here.netns, family, "calico")
        yield NftTable(*table, why=why)
        key = "40" if version == 4 else "60"
        for name in (f"cali{key}masq-ipam-pools", f"cali{key}all-ipam-pools"):
            yield NftSet(*table, set=name, type=word, elements=pools, flags="interval", why=why)
        rule = (
            f"{family} saddr @cali{key}masq-ipam-pools {family} daddr != @cali{key}all-ipam-pools "
            'counter masquerade fully-random comment "cali: natOutgoing"'
        )
        yield NftChain(*table, chain="nat-cali-nat-outgoing", rules=(rule,), why=why)
        yield NftChain(*table, chain="nat-cali-POSTROUTING", rules=("counter jump nat-cali-nat-outgoing",), why=why)
        yield NftChain(
            *table,
            chain="nat-POSTROUTING",
            rules=("counter jump nat-cali-POSTROUTING",),
            base="type nat hook postrouting priority srcnat + 10; policy accept;",
            why=why,
        )
