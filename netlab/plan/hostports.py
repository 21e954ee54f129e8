"""hostPort: a container's port on its node's own addresses, as the CNI plugin ``portmap`` makes it with nftables; and health checks.

Each node with such Pods has ``table ip cni_hostport`` (and ip6). Packets to a local address, from outside or from the
node itself, go through ``hostports_all``, which translates the destination. Ports with a hostIP come first.

Two cases are masqueraded, since the reply would take another path than the request: a Pod that reaches itself, and the
node by 127.0.0.1. The latter also needs ``route_localnet`` on the link towards the Pod, or the kernel drops packets
with that source as martians. IPv6 has no such switch, so ::1 does not work, as with portmap.

Source of the shapes: containernetworking/plugins, plugins/meta/portmap/portmap_nftables.go. There the rules' comments
are container ids; here they name the Pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from netlab.model import Cluster, Node, Pod
from netlab.model.workloads.ports import HostPort, mapped
from netlab.objects import Listener, NftChain, NftTable, Obj, Sysctl, Veth, Why
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.why import node_why, pod_why

TABLE = "cni_hostport"
_COMMENT_MAX = 128  # bytes, the kernel's NFTNL_UDATA_COMMENT_MAXLEN


def objects(cluster: Cluster, plane: Dataplane) -> Iterator[Obj]:
    """The tables of all nodes whose Pods want ports of them, and the sysctls towards those Pods."""
    for node in cluster.nodes if cluster.plane.maps_ports else ():
        wanted = [(pod, port) for pod in cluster.pods_of(node) for port in mapped(pod)]
        if not wanted:
            continue
        for version in (4, 6):
            if f"IPv{version}" in cluster.families:
                yield from _table(node, version, wanted)
        if "IPv4" in cluster.families:
            for pod in {str(pod): pod for pod, _ in wanted}.values():
                if not (dev := _towards(pod, node, cluster, plane)):
                    continue  # no plugin has attached it yet
                yield Sysctl(node.netns, f"net.ipv4.conf.{dev}.route_localnet", "1", dev, why=pod_why(pod))


def _towards(pod: Pod, node: Node, cluster: Cluster, plane: Dataplane) -> str:
    """The node's link that leads to the Pod: its bridge, or the Pod's own veth where Pods are routed."""
    if cluster.plane.bridge:
        return cluster.plane.bridge
    objects: Iterable[Obj] = plane.attach(pod, node, cluster)
    if cluster.attachments:
        from netlab.plan import adopted

        objects = adopted.of_pod(cluster, pod)
    return next((obj.name for obj in objects if isinstance(obj, Veth)), "")


def _table(node: Node, version: int, wanted: list[tuple[Pod, HostPort]]) -> Iterator[Obj]:
    family = "ip" if version == 4 else "ip6"
    table = (node.netns, family, TABLE)
    rules: list[str] = []
    own: list[str] = []  # of ports that name a hostIP
    masquerade: dict[str, None] = {}
    for pod, port in wanted:
        address = next((str(interface.ip) for interface in pod.addresses if interface.version == version), "")
        if not address or (port.address and ip_address(port.address).version != version):
            continue
        comment = f'comment "{f"hostport:{pod}"[:_COMMENT_MAX]}"'
        target = f"[{address}]" if version == 6 else address
        match = f"{port.protocol.lower()} dport {port.host_port} dnat to {target}:{port.port} {comment}"
        if port.address:
            own.append(f"{family} daddr {port.address} {match}")
        else:
            rules.append(match)
        masquerade[f"{family} saddr {address} {family} daddr {address} masquerade {comment}"] = None
        if version == 4:
            masquerade[f"ip saddr 127.0.0.1 ip daddr {address} masquerade {comment}"] = None
    if not rules and not own:
        return
    why = node_why(node)
    first = next(iter(wanted))
    made = Why(
        f"hostPort {first[1].host_port}/{first[1].protocol}, {pod_why(first[0]).message}", first[1].mark or why.mark
    )
    chains = (
        ("hostip_hostports", own, ""),
        ("hostports", rules, ""),
        ("hostports_all", ["jump hostip_hostports", "jump hostports"], ""),
        ("prerouting", ["fib daddr type local jump hostports_all"], "type nat hook prerouting priority dstnat;"),
        ("output", ["fib daddr type local jump hostports_all"], "type nat hook output priority -100;"),
        ("masquerading", list(masquerade), "type nat hook postrouting priority srcnat;"),
    )
    yield NftTable(*table, comment="CNI portmap plugin", why=made)
    for name, lines, base in chains:
        yield NftChain(*table, chain=name, rules=tuple(lines), base=f"{base} policy accept;" if base else "", why=made)


def health_checks(cluster: Cluster) -> Iterator[Obj]:
    """kube-proxy's listeners on the healthCheckNodePorts; as in its iptables mode, at every address of a node."""
    for service in cluster.services:
        if not service.health_port:
            continue
        why = Why(f"healthCheckNodePort of Service {service}", service.mark)
        for node in cluster.nodes:
            addresses = tuple(str(each.ip) for each in node.addresses if f"IPv{each.version}" in service.families)
            port = (node.netns, "TCP", service.health_port, service.name, service.namespace, node.name, "")
            yield Listener(*port, addresses, health=True, why=why)
