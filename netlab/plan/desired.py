"""The whole of a lab as one State."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from netlab.errors import Problem
from netlab.model import Cluster
from netlab.names import Owner, owned_name
from netlab.objects import Fdb, Listener, Neigh, Netns, Obj, State, Sysctl, Veth, Why
from netlab.plan import dns, external, files, hostports, processes, underlay
from netlab.plan.dataplanes import ALL, Dataplane, dataplane
from netlab.plan.why import node_why, pod_why

MAX_BRIDGE_PODS = 1000  # the kernel's BR_MAX_PORTS is 1,024; the rest is kept free for what learners add
# Smallest MTU that a Pod may be left with: RFC 791's datagram that every host takes, RFC 8200's link minimum.
_SMALLEST = {"IPv4": 576, "IPv6": 1280}


@dataclass(frozen=True, slots=True)
class Host:
    """What the host can do, as far as the desired state depends on it."""

    br_netfilter: bool = True


def desired(cluster: Cluster, host: Host | None = None) -> State:
    """Everything that the lab should be.  Raises Conflict where two sources want one key."""
    plane = dataplane(cluster.dataplane)
    objects = tuple(_objects(cluster, plane, host or Host()))
    named = {one.mac for one in objects if isinstance(one, (Neigh, Fdb))}
    return State(_pinned(one, named) if isinstance(one, Veth) else one for one in objects)


def _pinned(veth: Veth, named: set[str]) -> Veth:
    """The veth, its shell lines setting the MACs that permanent neighbours name."""
    end, peer = (replace(one, pinned=True) if one.mac in named else one for one in (veth.end, veth.peer))
    return replace(veth, end=end, peer=peer)


def check(cluster: Cluster) -> list[Problem]:
    """What the data plane cannot do with this cluster.  Problems without a mark are about the lab's own ``path``."""
    try:
        plane = dataplane(cluster.dataplane)
    except KeyError:
        known = ", ".join(one.name for one in ALL)
        return [Problem(None, "spec.dataplane", f"{cluster.dataplane} is not built yet; there are: {known}")]
    problems = []
    overhead = plane.overhead(cluster)
    left = cluster.mtu - overhead
    for family in cluster.families:
        if left < _SMALLEST[family]:
            says = (
                f"mtu {cluster.mtu} leaves {left} bytes for Pods after the {overhead} of {cluster.dataplane}; "
                f"{family} needs {_SMALLEST[family]}: use at least {_SMALLEST[family] + overhead}"
            )
            problems.append(Problem(None, "spec.mtu", says))
            break
    if plane.bridged:
        for node in cluster.nodes:
            pods = cluster.pods_of(node)
            if len(pods) > MAX_BRIDGE_PODS:
                says = (
                    f"node {node.name} has {len(pods)} Pods on one bridge; a Linux bridge has 1,024 ports, "
                    f"and netlab fills {MAX_BRIDGE_PODS}: add nodes"
                )
                problems.append(Problem(pods[MAX_BRIDGE_PODS].mark, "spec.nodes", says))
    return problems


def _objects(cluster: Cluster, plane: Dataplane, host: Host) -> Iterator[Obj]:
    yield from _namespaces(cluster, plane, host)
    yield from underlay.objects(cluster)
    yield from external.objects(cluster)
    for node in cluster.nodes:
        yield from plane.node(node, cluster)
        for pod in cluster.pods_of(node):
            yield from plane.attach(pod, node, cluster)
        for there in cluster.nodes:
            if there is not node:
                yield from plane.reach(node, there, cluster)
    # A lab without policies or Services is spared the import of what would make their rules (20 ms of every command).
    if cluster.network_policies:
        from netlab.plan import policies

        yield from policies.objects(cluster)
    if cluster.services:
        from netlab.plan import services

        yield from services.objects(cluster)
    yield from hostports.objects(cluster, plane)
    yield from files.objects(cluster)
    yield from dns.objects(cluster)
    for pod in cluster.pods:
        why = pod_why(pod)
        for port in pod.ports:
            if port.served_by == "process":
                continue
            says = f"port {port.port}/{port.protocol} of container {port.container}, {why.says}"
            yield Listener(
                pod.netns,
                port.protocol,
                port.port,
                pod.name,
                pod.namespace,
                pod.node,
                port.container,
                tuple(str(address.ip) for address in pod.addresses),
                why=Why(says, port.mark or why.mark),
            )
    for one in cluster.external:
        why = external.external_why(one)
        for port in one.ports:
            says = f"port {port.port}/{port.protocol} of {why.says}"
            addresses = tuple(str(address.ip) for address in one.addresses)
            yield Listener(
                one.netns, port.protocol, port.port, one.name, "", "", "", addresses, why=Why(says, port.mark)
            )
    yield from processes.objects(cluster)


# The kernel limits ICMP errors to one a second and peer, and to 1,000 a second in all; then the same fault gives an
# error the first time and silence the next.  Labs must give the same answer each time.
_ICMP = {"net.ipv4.icmp_ratelimit": "0", "net.ipv4.icmp_ratemask": "0"}
_ICMP6 = {"net.ipv6.icmp.ratelimit": "0"}
# Nobody advertises routers; and as long as duplicate address detection holds the link-local addresses back (1 to 2 s),
# a node cannot ask for a neighbour, and the first packets between nodes are lost.
_QUIET6 = {"net.ipv6.conf.default.accept_ra": "0", "net.ipv6.conf.default.accept_dad": "0"}


def _namespaces(cluster: Cluster, plane: Dataplane, host: Host) -> Iterator[Obj]:
    v6 = "IPv6" in cluster.families
    everywhere = {**_ICMP, **(_ICMP6 | _QUIET6 if v6 else {})}
    # New namespaces take rp_filter over from the host, and distributions set it: say what a lab has.
    router = {
        "net.ipv4.ip_forward": "1",
        "net.ipv4.conf.all.rp_filter": "0",
        "net.ipv4.conf.default.rp_filter": "0",
        **({"net.ipv6.conf.all.forwarding": "1"} if v6 else {}),
    }
    under = cluster.underlay
    why = Why("the underlay", under.mark)
    routing = {**everywhere, **router, **_bridge_nf(host, "0")}
    yield Netns(under.netns, Owner(cluster.lab, "underlay", "underlay"), why=why)
    yield from _sysctls(under.netns, routing, why)
    for rack in under.racks:
        why = Why(f"rack {rack.name}", under.mark)
        yield Netns(rack.netns, Owner(cluster.lab, "router", rack.name), why=why)
        yield from _sysctls(rack.netns, routing, why)
    for one in cluster.external:
        why = external.external_why(one)
        yield Netns(one.netns, Owner(cluster.lab, "external", one.name), why=why)
        yield from _sysctls(one.netns, everywhere, why)
    for node in cluster.nodes:
        why = node_why(node)
        yield Netns(node.netns, Owner(cluster.lab, "node", node.name), why=why)
        # Without it, frames between two Pods of a node pass below nftables: no policy, no Service would see them.
        bridged = _bridge_nf(host, "1") if plane.bridged else {}
        yield from _sysctls(node.netns, {**everywhere, **router, **bridged}, why)
    for pod in cluster.pods:
        if not pod.host_network:
            why = pod_why(pod)
            yield Netns(pod.netns, Owner(cluster.lab, "pod", owned_name(pod.namespace, pod.name)), why=why)
            yield from _sysctls(pod.netns, everywhere, why)


def _bridge_nf(host: Host, value: str) -> dict[str, str]:
    if not host.br_netfilter:
        return {}
    return {"net.bridge.bridge-nf-call-iptables": value, "net.bridge.bridge-nf-call-ip6tables": value}


def _sysctls(netns: str, values: dict[str, str], why: Why) -> Iterator[Obj]:
    for path, value in values.items():
        yield Sysctl(netns, path, value, why=why)
