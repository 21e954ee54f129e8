"""The whole of a lab as one State."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.errors import Problem
from netlab.memo import Session
from netlab.model import Cluster
from netlab.names import Owner
from netlab.objects import Fdb, Listener, Neigh, Netns, Obj, State, Sysctl, Why
from netlab.plan import dns, external, files, hostports, podobjects, processes, racks, underlay
from netlab.plan.dataplanes import Dataplane, of_cluster
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import node_why
from netlab.values import dataclass

if TYPE_CHECKING:
    from netlab.plan.share import Share

MAX_BRIDGE_PODS = 1000  # the kernel's BR_MAX_PORTS is 1,024; the rest is kept free for what learners add
# Smallest MTU that a Pod may be left with: RFC 791's datagram that every host takes, RFC 8200's link minimum.
_SMALLEST = {"IPv4": 576, "IPv6": 1280}


@dataclass(frozen=True, slots=True)
class Host:
    """The capabilities of the host on which the desired state depends, and its share of a lab on several machines."""

    br_netfilter: bool = True
    netem: bool = True
    share: Share | None = None


def desired(cluster: Cluster, host: Host | None = None, session: Session | None = None) -> State:
    """The desired state of a lab. Raises Conflict where two sources want the same key.

    ``session`` keeps the results for Pods, Services and policies that have not changed.
    """
    parts = list(_parts(cluster, of_cluster(cluster), host or Host(), session or Session()))
    named = {obj.mac for part in parts if not isinstance(part, State) for obj in part if isinstance(obj, (Neigh, Fdb))}
    state = State.joined([part if isinstance(part, State) else tuple(podobjects.pinned(part, named)) for part in parts])
    if cluster.attachments:
        from netlab.plan import adopted

        state = adopted.merged(cluster, state)
    if not cluster.impairments:
        return state
    from netlab.plan import impairments

    return State.joined([state, tuple(impairments.objects(cluster, state, netem=host is None or host.netem))])


def check(cluster: Cluster) -> list[Problem]:
    """The problems of the data plane with this cluster.  Problems without a mark are about the lab's own ``path``."""
    problems = []
    overhead, left = cluster.overhead, cluster.pod_mtu
    for family in cluster.families:
        if left < _SMALLEST[family]:
            message = (
                f"mtu {cluster.mtu} leaves {left} bytes for Pods after the {overhead} of {cluster.dataplane}; "
                f"{family} needs {_SMALLEST[family]}: use at least {_SMALLEST[family] + overhead}"
            )
            problems.append(Problem(None, "spec.mtu", message))
            break
    if cluster.plane.bridge:
        for node in cluster.nodes:
            pods = cluster.pods_of(node)
            if len(pods) > MAX_BRIDGE_PODS:
                message = (
                    f"node {node.name} has {len(pods)} Pods on one bridge; a Linux bridge has 1,024 ports, "
                    f"and netlab fills {MAX_BRIDGE_PODS}: add nodes"
                )
                problems.append(Problem(pods[MAX_BRIDGE_PODS].mark, "spec.nodes", message))
    return problems


def _parts(cluster: Cluster, plane: Dataplane, host: Host, session: Session) -> Iterator[State | tuple[Obj, ...]]:
    """The objects in the order in which they are told; those that are kept from one time to the next as States."""
    wires = racks if cluster.underlay.racks else underlay
    yield (*namespaces(cluster, host), *wires.objects(cluster), *external.objects(cluster))
    yield tuple(files.of_nodes(cluster))
    of_pods = podobjects.sections(cluster, plane, _everywhere(cluster), session)
    by_node: dict[str, list[State]] = {}
    for pod, section in zip(cluster.pods, of_pods, strict=True):
        by_node.setdefault(pod.node, []).append(section)
    far = [Far(node, cluster) for node in cluster.nodes]
    for node in cluster.nodes:
        yield tuple(plane.node(node, cluster))
        yield from by_node.get(node.name, ())
        yield tuple(obj for there in far if there.node is not node for obj in plane.reach(node, there, cluster))
    # A lab without policies or Services is spared the import of what would make their rules (20 ms of every command).
    if cluster.enforced and (cluster.filters or cluster.established == "drop"):
        from netlab.plan import policies

        yield from policies.tables(cluster, session)
    yield tuple(_objects(cluster, plane, session))


def _objects(cluster: Cluster, plane: Dataplane, session: Session) -> Iterator[Obj]:
    """All else."""
    if cluster.services:
        from netlab.plan import services

        yield from services.objects(cluster, session)
    yield from hostports.objects(cluster, plane)
    yield from hostports.health_checks(cluster)
    yield from dns.objects(cluster, session)
    for host in cluster.external:
        why = external.external_why(host)
        for port in host.ports:
            message = f"port {port.port}/{port.protocol} of {why.message}"
            addresses = tuple(str(address.ip) for address in host.addresses)
            yield Listener(
                host.netns, port.protocol, port.port, host.name, "", "", "", addresses, why=Why(message, port.mark)
            )
    yield from processes.objects(cluster)


# The kernel limits ICMP errors to one a second and peer, and to 1,000 a second in all; then the same fault gives an
# error the first time and silence the next.  Labs must give the same answer each time.
_ICMP = {"net.ipv4.icmp_ratelimit": "0", "net.ipv4.icmp_ratemask": "0"}
_ICMP6 = {"net.ipv6.icmp.ratelimit": "0"}
# Nobody advertises routers; and as long as duplicate address detection holds the link-local addresses back (1 to 2 s),
# a node cannot ask for a neighbour, and the first packets between nodes are lost.
_QUIET6 = {"net.ipv6.conf.default.accept_ra": "0", "net.ipv6.conf.default.accept_dad": "0"}


def namespaces(cluster: Cluster, host: Host) -> Iterator[Obj]:
    """The namespaces of the lab that are no Pods', with their sysctls."""
    v6 = "IPv6" in cluster.families
    everywhere = _everywhere(cluster)
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
    for machine in cluster.external:
        why = external.external_why(machine)
        yield Netns(machine.netns, Owner(cluster.lab, "external", machine.name), why=why)
        yield from _sysctls(machine.netns, everywhere, why)
    for node in cluster.nodes:
        why = node_why(node)
        yield Netns(node.netns, Owner(cluster.lab, "node", node.name), why=why)
        # Without it, frames between two Pods of a node pass below nftables: no policy, no Service would see them.
        bridged = _bridge_nf(host, "1") if cluster.plane.bridge else {}
        yield from _sysctls(node.netns, {**everywhere, **router, **bridged}, why)


def _everywhere(cluster: Cluster) -> dict[str, str]:
    """The sysctls of every namespace."""
    return {**_ICMP, **(_ICMP6 | _QUIET6 if "IPv6" in cluster.families else {})}


def _bridge_nf(host: Host, value: str) -> dict[str, str]:
    if not host.br_netfilter:
        return {}
    return {"net.bridge.bridge-nf-call-iptables": value, "net.bridge.bridge-nf-call-ip6tables": value}


def _sysctls(netns: str, values: dict[str, str], why: Why) -> Iterator[Obj]:
    for path, value in values.items():
        yield Sysctl(netns, path, value, why=why)
