"""Services in the kernel: what kube-proxy programs in its nftables mode, on every node.

Names, maps, chains, priorities and marks are kube-proxy's, so that what is read here is what is read on a real node,
and nothing of netlab's own (no comments, no counters) stands in its tables.  A packet costs one look-up in the verdict
map ``service-ips``, whatever the number of Services.

What happens to a packet:

- ``nat-prerouting`` and ``nat-output`` look the destination up and go to the chain of the Service (``service-``), of
  its traffic from outside (``external-``) or of its backends on this node (``local-``);
- that chain chooses a backend (``numgen random``, or the client's own where it is sticky) and goes to its ``endpoint-``
  chain, which rewrites the destination;
- what cannot be answered by its source otherwise (from outside the Pods' networks, or to itself) is marked 0x4000, and
  ``nat-postrouting`` masquerades what is marked;
- what no backend stands behind is not rewritten, meets ``service-endpoints-check`` and is rejected or, where only this
  node has none, dropped; what else is sent to Service addresses meets ``cluster-ips-check``.

Limits: node ports answer at a node's primary address alone (kube-proxy's ``--nodeport-addresses primary``).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from functools import lru_cache

from netlab import names
from netlab.digest import sha256
from netlab.memo import Memo, Session
from netlab.model import Address, Cluster, Network, Node
from netlab.model.cluster.services import EXTERNAL_NAME, Backend, Service, ServicePort
from netlab.model.services.choice import ZONE, everywhere, near, plain
from netlab.model.services.outside import announced
from netlab.objects import NftChain, NftSet, NftTable, Obj, Route, Why
from netlab.plan.underlay import BRIDGE
from netlab.tuples import NamedTuple
from netlab.values import dataclass

TABLE = "kube-proxy"
MARK = "0x4000"
_KEPT = 200_000  # a few times what one lab has
_NAME_MAX = 240  # of nftables' 255, so that every prefix fits


def service_why(service: Service) -> Why:
    """The reason recorded on objects that exist for this Service."""
    return Why(f"Service {service}", service.mark)


def objects(cluster: Cluster, session: Session) -> Iterator[Obj]:
    """The tables of every node, and the routers' ways to the addresses that Services have outside."""
    if not cluster.services:
        return
    families = [_family(cluster, 4 if family == "IPv4" else 6, session) for family in cluster.families]
    services = tuple(service for service in cluster.services if service.kind != EXTERNAL_NAME)
    for node in cluster.nodes:
        for family in families:
            yield from _Table(node, family).objects(family.seen(services))
    yield from _announced(cluster)


# -- names ------------------------------------------------------------------------------------------------------------


@lru_cache(1 << 16)
def base_name(text: str) -> str:
    """``ULMVA6XW-ns1/svc1/tcp/p80``: 8 characters of a hash, then the text itself, as far as there is room."""
    digest = base64.b32encode(sha256(text))[:8].decode()
    name = f"{digest}-{text}"
    return name if len(name) <= _NAME_MAX else name[: _NAME_MAX - 3] + "..."


def port_name(service: Service, port: ServicePort) -> str:
    """The base name of a Service's port: ``namespace/name/protocol/port's name``."""
    return base_name(f"{service}/{port.protocol.lower()}/{port.name}")


def endpoint_name(service: Service, port: ServicePort, address: Address, number: int) -> str:
    """The base name of a backend: the port's, then its address; a colon may not be in a name."""
    shown = str(address).replace(":", ".")
    return base_name(f"{service}/{port.protocol.lower()}/{port.name}__{shown}/{number}")


# -- one table --------------------------------------------------------------------------------------------------------


class _Verdicts(NamedTuple):
    """The chains of a Service's port on a node ("": none), and the verdict on other traffic."""

    internal: str
    internal_else: str
    external: str
    external_else: str


@dataclass(slots=True)
class _Maps:
    """The elements of the table's sets and maps, as they gather."""

    ips: list[str] = field(default_factory=list)
    nodeports: list[str] = field(default_factory=list)
    no_ips: list[str] = field(default_factory=list)
    no_nodeports: list[str] = field(default_factory=list)
    firewall: list[str] = field(default_factory=list)
    cluster_ips: list[str] = field(default_factory=list)

    def add(self, other: _Maps) -> None:
        self.ips += other.ips
        self.nodeports += other.nodeports
        self.no_ips += other.no_ips
        self.no_nodeports += other.no_nodeports
        self.firewall += other.firewall


class _End(NamedTuple):
    """A backend of a Service's port: its node, its base name, and the rules of its chain."""

    node: str
    name: str
    rules: tuple[str, ...]


class _Port(NamedTuple):
    """A Service's port as all nodes see it; ``choice`` chooses among all backends, ``masquerade`` marks strangers.

    Where nodes choose among different backends, ``listed`` are all of them, and ``ends`` in step with them.
    """

    port: ServicePort
    base: str
    ends: tuple[_End, ...]
    masquerade: tuple[str, ...]
    choice: tuple[str, ...]
    listed: tuple[Backend, ...] = ()


class _Seen(NamedTuple):
    """A Service as all nodes see it; ``own`` and ``outside`` are its addresses of the family."""

    service: Service
    own: tuple[str, ...]
    outside: tuple[Address, ...]
    ports: tuple[_Port, ...]
    why: Why


class _Family:
    """What the tables of one family (``version`` 4 or 6) have in common on every node, put into words once: with 3,000
    Services of ten Pods each it is 30,000 chains a node.  What was made of a Service is kept for as long as it stays.
    """

    def __init__(self, version: int, pods: tuple[Network, ...], service_cidr: Network) -> None:
        self.version, self.pods, self.service_cidr = version, pods, service_cidr
        self.ip = "ip" if version == 4 else "ip6"
        self.seen = Memo(self._seen).all
        self.made: dict[tuple[str, int], tuple[_Port, tuple[Obj, ...], _Maps]] = {}

    def _seen(self, service: Service) -> _Seen:
        own = tuple(str(ip) for ip in service.cluster_ips if ip.version == self.version)
        outside = tuple(ip for ip in service.outside_ips if ip.version == self.version)
        ports: tuple[_Port, ...] = ()
        if not service.headless or service.outside_ips:
            backends = [backend for backend in service.backends if backend.address.version == self.version]
            masquerade = tuple(
                f"{self.ip} daddr {address} {self._not_from_pods()} jump mark-for-masquerade" for address in own
            )
            ports = tuple(
                self._port(service, port, index, backends, masquerade) for index, port in enumerate(service.ports)
            )
        return _Seen(service, own, outside, ports, service_why(service))

    def _port(
        self, service: Service, port: ServicePort, index: int, backends: list[Backend], masquerade: tuple[str, ...]
    ) -> _Port:
        behind = [backend for backend in backends if backend.ports[index]]
        alike = plain(service, behind)
        if alike:
            behind = [backend for backend in behind if service.counts_ready(backend)]
        ends = tuple(self._end(service, port, backend, backend.ports[index]) for backend in behind)
        listed = () if alike else tuple(behind)
        return _Port(port, port_name(service, port), ends, masquerade, self.choice(service, ends), listed)

    def choice(self, service: Service, ends: Sequence[_End]) -> tuple[str, ...]:
        """The rules that choose among backends."""
        sticky = [f"{self.ip} saddr @affinity-{end.name} goto endpoint-{end.name}" for end in ends]
        entries = ", ".join(f"{number} : goto endpoint-{end.name}" for number, end in enumerate(ends))
        return (*(sticky if service.affinity else ()), f"numgen random mod {len(ends)} vmap {{ {entries} }}")

    def _end(self, service: Service, port: ServicePort, backend: Backend, number: int) -> _End:
        name = endpoint_name(service, port, backend.address, number)
        address = str(backend.address)
        shown = address if self.version == 4 else f"[{address}]"
        hairpin = f"{self.ip} saddr {address} jump mark-for-masquerade"
        sticky = [f"update @affinity-{name} {{ {self.ip} saddr }}"] if service.affinity else []
        dnat = f"meta l4proto {port.protocol.lower()} dnat to {shown}:{number}"
        return _End(backend.node, name, (hairpin, *sticky, dnat))

    def _not_from_pods(self) -> str:
        if len(self.pods) == 1:
            return f"{self.ip} saddr != {self.pods[0]}"
        return f"{self.ip} saddr != {{ {', '.join(map(str, self.pods))} }}"


def _family(cluster: Cluster, version: int, session: Session) -> _Family:
    service_cidr = next(cidr for cidr in cluster.service_cidrs if cidr.version == version)
    family = session.of(_Family, version, _networks(cluster, version), service_cidr)
    if len(family.made) > _KEPT:
        family.made.clear()
    return family


class _Table:
    """kube-proxy's table of one family on one node."""

    def __init__(self, node: Node, family: _Family) -> None:
        self._node, self._family = node, family
        self._version, self._ip = family.version, family.ip
        self._type = "ipv4_addr" if self._version == 4 else "ipv6_addr"
        self._address = next(address.ip for address in node.addresses if address.version == self._version)
        self._zone = node.labels.get(ZONE, "")
        self._why = Why(f"kube-proxy on node {node.name}", node.mark)
        self._maps = _Maps()

    def objects(self, services: Iterable[_Seen]) -> Iterator[Obj]:
        yield NftTable(self._node.netns, self._ip, TABLE, "rules for kube-proxy", why=self._why)
        for seen in services:
            self._maps.cluster_ips += seen.own
            for port in seen.ports:
                yield from self._made(seen, port)
        yield from self._frame()

    def _made(self, seen: _Seen, port: _Port) -> tuple[Obj, ...]:
        """The objects of a Service's port; its elements go into the maps.  As last time, where the port is that one."""
        made, key = self._family.made, (f"{self._node.netns} {self._zone}", id(port))
        kept = made.get(key)
        if kept is None or kept[0] is not port:
            elements = _Maps()
            made[key] = kept = port, tuple(self._port(seen, port, elements)), elements
        self._maps.add(kept[2])
        return kept[1]

    # -- what every table has -----------------------------------------------------------------------------------------

    def _frame(self) -> Iterator[Obj]:
        ip, maps = self._ip, self._maps
        target = f"{ip} daddr . meta l4proto . th dport"
        node_port = f"{ip} daddr @nodeport-ips meta l4proto . th dport"
        key, port_key = f"{self._type} . inet_proto . inet_service", "inet_proto . inet_service"
        yield self._set("service-ips", key, maps.ips, "ClusterIP, ExternalIP and LoadBalancer IP traffic", vmap=True)
        yield self._set("service-nodeports", port_key, maps.nodeports, "NodePort traffic", vmap=True)
        message = "vmap to drop or reject packets to services with no endpoints"
        yield self._set("no-endpoint-services", key, maps.no_ips, message, vmap=True)
        message = "vmap to drop or reject packets to service nodeports with no endpoints"
        yield self._set("no-endpoint-nodeports", port_key, maps.no_nodeports, message, vmap=True)
        message = "destinations that are subject to LoadBalancerSourceRanges"
        yield self._set("firewall-ips", key, maps.firewall, message, vmap=True)
        yield self._set("cluster-ips", self._type, maps.cluster_ips, "Active ClusterIPs")
        yield self._set("nodeport-ips", self._type, [str(self._address)], "IPs that accept NodePort traffic")

        yield self._chain("mark-for-masquerade", f"meta mark set meta mark | {MARK}")
        yield self._chain(
            "masquerading",
            f"meta mark & {MARK} == 0 return",
            # Cleared, since the mark outlives encapsulation and would have the outer packet masqueraded too.
            f"meta mark set meta mark ^ {MARK}",
            "masquerade fully-random",
        )
        yield self._chain("reject-chain", "reject")
        yield self._chain("services", f"{target} vmap @service-ips", f"{node_port} vmap @service-nodeports")
        yield self._chain("service-endpoints-check", f"{target} vmap @no-endpoint-services")
        yield self._chain("nodeport-endpoints-check", f"{node_port} vmap @no-endpoint-nodeports")
        yield self._chain("firewall-check", f"{target} vmap @firewall-ips")
        yield self._chain(
            "cluster-ips-check",
            f'{ip} daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
            f'{ip} daddr {self._family.service_cidr} drop comment "Drop traffic to unallocated ClusterIPs"',
        )

        new = "ct state new jump"
        yield self._base("nat-prerouting", "nat", "prerouting", -100, "jump services")
        yield self._base("nat-output", "nat", "output", -100, "jump services")
        yield self._base("nat-postrouting", "nat", "postrouting", 100, "jump masquerading")
        yield self._base("filter-prerouting-pre-dnat", "filter", "prerouting", -110, f"{new} firewall-check")
        yield self._base("filter-output-pre-dnat", "filter", "output", -110, f"{new} firewall-check")
        checks = (f"{new} service-endpoints-check", f"{new} cluster-ips-check")
        yield self._base("filter-forward", "filter", "forward", 0, *checks)
        yield self._base("filter-output", "filter", "output", 0, *checks)
        yield self._base("filter-input", "filter", "input", 0, f"{new} nodeport-endpoints-check", checks[0])

    # -- one Service --------------------------------------------------------------------------------------------------

    def _port(self, seen: _Seen, resolved: _Port, maps: _Maps) -> Iterator[Obj]:
        service, why = seen.service, seen.why
        port, base = resolved.port, resolved.base
        behind, local, choice = self._choices(service, resolved)
        faces_outside = bool(seen.outside or port.node_port)
        external_local = service.external_local and faces_outside
        verdicts = self._verdicts(service, base, behind, local, external_local=external_local)
        self._elements(seen, resolved, verdicts, maps)

        # `service-` is what has all backends: for traffic inside, and for what comes from outside by way of `external-`.
        uses_all = bool(behind) and (not service.internal_local or faces_outside)
        uses_near = bool(local) and (service.internal_local or external_local)
        for end in dict.fromkeys((*(behind if uses_all else ()), *(local if uses_near else ()))):
            yield self._chain(f"endpoint-{end.name}", *end.rules, why=why)
            if service.affinity:
                yield self._affinity(end, service.affinity, why)
        if uses_all:
            first = () if service.internal_local else resolved.masquerade
            yield self._chain(f"service-{base}", *first, *choice, why=why)
        if uses_near:
            first = resolved.masquerade if service.internal_local else ()
            yield self._chain(f"local-{base}", *first, *self._family.choice(service, local), why=why)
        if faces_outside and behind:
            yield self._external(f"external-{base}", base, local=external_local, near=bool(local), why=why)
        if seen.outside and service.source_ranges:
            yield from self._firewall(service, base, why)

    def _choices(self, service: Service, resolved: _Port) -> tuple[Sequence[_End], Sequence[_End], tuple[str, ...]]:
        """What this node chooses among with the policies Cluster and Local, and the rules of the first choice."""
        if not resolved.listed:
            return resolved.ends, [end for end in resolved.ends if end.node == self._node.name], resolved.choice
        ends = {backend.address: end for backend, end in zip(resolved.listed, resolved.ends, strict=True)}
        behind = [ends[each.address] for each in everywhere(service, resolved.listed, self._node.name, self._zone)]
        local = [ends[each.address] for each in near(service, resolved.listed, self._node.name)]
        return behind, local, self._family.choice(service, behind)

    def _verdicts(
        self, service: Service, base: str, behind: Sequence[_End], near: Sequence[_End], *, external_local: bool
    ) -> _Verdicts:
        if not behind:
            return _Verdicts("", "goto reject-chain", "", "goto reject-chain")
        inside = bool(near) if service.internal_local else True
        chain = f"{'local' if service.internal_local else 'service'}-{base}"
        # Even where this node has no backend for traffic from outside, its Pods and itself get through by `external-`.
        return _Verdicts(
            f"goto {chain}" if inside else "",
            "" if inside else "drop",
            f"goto external-{base}",
            "drop" if external_local and not near else "",
        )

    @staticmethod
    def _elements(seen: _Seen, resolved: _Port, verdicts: _Verdicts, maps: _Maps) -> None:
        service, port, base = seen.service, resolved.port, resolved.base
        to = f"{port.protocol.lower()} . {port.port}"
        comment = f'comment "{service}{":" + port.name if port.name else ""}"'
        for address in seen.own:
            if verdicts.internal:
                maps.ips.append(f"{address} . {to} : {verdicts.internal}")
            if verdicts.internal_else:
                maps.no_ips.append(f"{address} . {to} {comment} : {verdicts.internal_else}")
        for there in seen.outside:
            if verdicts.external:
                maps.ips.append(f"{there} . {to} : {verdicts.external}")
            if verdicts.external_else:
                maps.no_ips.append(f"{there} . {to} {comment} : {verdicts.external_else}")
            if service.source_ranges and there in service.load_balancer_ips:
                maps.firewall.append(f"{there} . {to} {comment} : goto firewall-{base}")
        if port.node_port:
            to = f"{port.protocol.lower()} . {port.node_port}"
            if verdicts.external:
                maps.nodeports.append(f"{to} : {verdicts.external}")
            if verdicts.external_else:
                maps.no_nodeports.append(f"{to} {comment} : {verdicts.external_else}")

    def _affinity(self, end: _End, seconds: int, why: Why) -> Obj:
        return NftSet(
            self._node.netns, self._ip, TABLE, f"affinity-{end.name}", self._type, flags="dynamic,timeout",
            extra=f"timeout {seconds}s;", why=why,
        )  # fmt: skip

    def _external(self, name: str, base: str, *, local: bool, near: bool, why: Why) -> Obj:
        if not local:
            return self._chain(name, "jump mark-for-masquerade", f"goto service-{base}", why=why)
        rules = [
            f'{self._ip} saddr {pod} goto service-{base} comment "short-circuit pod traffic"'
            for pod in self._family.pods
        ]
        rules.append('fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"')
        rules.append(f'fib saddr type local goto service-{base} comment "short-circuit local traffic"')
        if near:
            rules.append(f"goto local-{base}")
        return self._chain(name, *rules, why=why)

    def _firewall(self, service: Service, base: str, why: Why) -> Iterator[Obj]:
        if not any(ip.version == self._version for ip in service.load_balancer_ips):
            return
        ranges = sorted(str(network) for network in service.source_ranges if network.version == self._version)
        allowed = f"{self._ip} saddr != {{ {', '.join(ranges)} }} " if ranges else ""
        yield self._chain(f"firewall-{base}", f"{allowed}drop", why=why)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _chain(self, name: str, *rules: str, why: Why | None = None) -> NftChain:
        return NftChain(self._node.netns, self._ip, TABLE, name, rules, why=why or self._why)

    def _base(self, name: str, kind: str, hook: str, priority: int, *rules: str) -> NftChain:
        base = f"type {kind} hook {hook} priority {priority};"
        return NftChain(self._node.netns, self._ip, TABLE, name, rules, base, why=self._why)

    def _set(self, name: str, key: str, elements: Iterable[str], comment: str, *, vmap: bool = False) -> NftSet:
        data = "verdict" if vmap else ""
        where = (self._node.netns, self._ip, TABLE, name)
        return NftSet(*where, key, frozenset(elements), data, comment=comment, why=self._why)


def _networks(cluster: Cluster, version: int) -> tuple[Network, ...]:
    """kube-proxy's clusterCIDR; and the parts of nodes that lie outside of it, which a real cluster cannot have."""
    whole = [network for network in cluster.pod_cidrs if network.version == version]
    parts = [cidr for node in cluster.nodes for cidr in node.pod_cidrs if cidr.version == version]
    own = [part for part in parts if not any(part.subnet_of(network) for network in whole)]  # type: ignore[arg-type]
    used = [network for network in whole if any(part.subnet_of(network) for part in parts)]  # type: ignore[arg-type]
    return tuple(dict.fromkeys([*(used or ([] if own else whole)), *own]))


# -- the way in from outside ------------------------------------------------------------------------------------------


def _announced(cluster: Cluster) -> Iterator[Obj]:
    """Routes on the underlay's router (of a routed one: the spine and the node's rack) to addresses outside."""
    for address, (service, name) in announced(cluster).items():
        node = cluster.node(name)
        via = next((str(interface.ip) for interface in node.addresses if interface.version == address.version), "")
        if via:
            yield from _host_route(cluster, node, f"{address}/{address.max_prefixlen}", via, service_why(service))


def _host_route(cluster: Cluster, node: Node, host: str, via: str, why: Why) -> Iterator[Obj]:
    under = cluster.underlay
    if not under.racks:
        yield Route(under.netns, host, via=via, dev=BRIDGE, why=why)
        return
    rack = under.rack(node.rack)
    yield Route(rack.netns, host, via=via, dev=BRIDGE, why=why)
    for mine, _ in rack.uplinks:
        if (":" in via) == (mine.version == 6):
            yield Route(under.netns, host, via=str(mine.ip), dev=names.port_name(rack.name), why=why)
