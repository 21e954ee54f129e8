"""The model's path for a flow and its reply, and the place where a packet diverged from it.

``Expecter`` combines the cluster's knowledge of a flow (``oracle.service``: which node translates a Service's address,
whether the source is masqueraded) with the desired state's knowledge of the path (``path``).  The packet is not asked:
only which of a Service's own backends was chosen (``backend``) is unknown without it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

from netlab.diagnose.expected.path import Hop, Path, walk
from netlab.diagnose.expected.topology import Topology
from netlab.model import Cluster
from netlab.objects import Key, Obj, Why
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, EXTERNAL, NODE, Endpoint, Flow
from netlab.oracle.service import ServiceIndex, ServicePaths
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """The expected path of a request and of its reply (None: no reply is expected).

    ``backend`` is the translated target address ("": no translation), ``backends`` all possible targets with their
    ports. ``source`` is the sender's own address, ``seen_as`` the source that the target sees.  ``because``: the
    Service.
    """

    request: Path
    reply: Path | None
    source: str = ""
    backend: str = ""
    backends: tuple[tuple[str, int], ...] = ()
    seen_as: str = ""
    because: Why | None = None

    @property
    def paths(self) -> list[Path]:
        """The path of the request, and the reply's if there is a reply."""
        return [self.request, *([self.reply] if self.reply else [])]


_PASSED = {"in": "arrived at", "out": "left by", "other": "arrived for another host at"}


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first divergence from a path: after ``after``, ``expected`` was next, but the packet ``went`` elsewhere.

    ``went`` None: the packet was not seen again; ``expected`` None: the path should have ended there.
    """

    after: Hop | None
    expected: Hop | None
    went: Hop | None

    @property
    def stopped(self) -> bool:
        """Whether the packet was not seen again."""
        return self.went is None

    @property
    def netns(self) -> str:
        """The namespace that made the decision."""
        hop = self.after or self.expected or self.went
        return hop.netns if hop else ""

    def __str__(self) -> str:
        after = f"after {self.after}, " if self.after else ""
        if self.expected is None:
            return f"{after}it should have ended, but it went on to {self.went}"
        if self.went is None:
            return f"{after}{self.expected} was expected next, but it was not seen there"
        if self.went.at == self.expected.at:
            return f"{after}it should have {_PASSED[self.expected.direction]} {self.expected}, but it {_PASSED[self.went.direction]} it"
        verb = "left by" if self.went.direction == "out" else "arrived at"
        return f"{after}{self.expected} was expected next, but it {verb} {self.went}"


class Expecter:
    """Expected paths in a cluster's desired state."""

    def __init__(self, cluster: Cluster, want: Mapping[Key, Obj]) -> None:
        self._cluster = cluster
        self.topology = Topology(want)
        self.endpoints = Endpoints(cluster)
        self._services = ServiceIndex(cluster, self.endpoints)
        self._nodes = {node.netns: node for node in cluster.nodes}

    def flow(self, netns: str, address: str, port: int, protocol: str) -> Flow:
        """The flow of a packet from a namespace to an address."""
        return Flow.to(self._sender(netns), self.endpoints.at(address), address, port, protocol)

    def _sender(self, netns: str) -> Endpoint:
        ends = (*self.endpoints.nodes.values(), *self.endpoints.pods.values(), *self.endpoints.external.values())
        return next((endpoint for endpoint in ends if endpoint.netns == netns), Endpoint(ADDRESS, netns, netns))

    def choices(self, flow: Flow) -> tuple[tuple[str, int], ...]:
        """The addresses and ports to which the lab's rules may translate a flow's target; none: it is not translated."""
        return self._choices(flow, self._services.of(flow))[0]

    def round_trip(self, flow: Flow, *, source: str = "", backend: str = "") -> RoundTrip:
        """The expected paths of a flow.

        ``backend``: which of the possible targets was chosen; any other address is ignored.  ``source``: the address of
        a crafted packet, or the chosen of a node's own.
        """
        service_paths = self._services.of(flow)
        choices, ways_why = self._choices(flow, service_paths)
        chosen = next((address for address, _ in choices if address == backend), choices[0][0] if choices else "")
        start = flow.src.netns
        translate = {(netns, flow.address): chosen for netns in self._translators(flow)} if chosen else {}
        request = walk(self.topology, start, flow.address, translate)
        if service_paths is not None and not service_paths.flows:
            request = self._stopped(request, service_paths)
        source = source or self._source(flow)
        expected = RoundTrip(
            request=request,
            reply=None,
            source=source,
            backend=chosen if request.translated else "",
            backends=choices,
            seen_as="",
            because=ways_why,
        )
        if not request.arrives or not source:
            return expected
        sources = self._sources(flow, service_paths, request, source)
        before = [source, *(address for _, address in sources)]
        back = dict(zip(sources, before, strict=False))
        reply = walk(self.topology, request.netns, before[-1], back)
        return replace(expected, reply=reply, seen_as=before[-1])

    # -- Services -----------------------------------------------------------------------------------------------------

    def _choices(
        self, flow: Flow, service_paths: ServicePaths | None
    ) -> tuple[tuple[tuple[str, int], ...], Why | None]:
        """The possible backends of a flow."""
        if service_paths is not None:
            return tuple((backend.address, backend.port) for backend in service_paths.flows), service_paths.because
        behind = self.endpoints.behind(flow)
        if behind is None:
            return (), None
        return ((behind.address, behind.port),), Why(f"hostPort of Pod {behind.dst.name}")

    def _translators(self, flow: Flow) -> list[str]:
        """The namespaces that may translate the target: the owner of a node's address, else any node."""
        owner = next(
            (node for node in self._nodes.values() if any(str(a.ip) == flow.address for a in node.addresses)), None
        )
        return [owner.netns] if owner else list(self._nodes)

    def _stopped(self, request: Path, service_paths: ServicePaths) -> Path:
        """The path to a Service without backends: it ends at the first node."""
        hops: list[Hop] = []
        for hop in request.hops:
            if hop.netns in self._nodes and hop.direction == "out":
                break
            hops.append(hop)
        last = hops[-1].netns if hops else request.netns
        if last not in self._nodes and hops == list(request.hops):
            return request
        return replace(request, hops=tuple(hops), arrives=False, reason=service_paths.because.message, netns=last)

    # -- the source ---------------------------------------------------------------------------------------------------

    def source(self, flow: Flow, local: str) -> str:
        """The sender's source address: ``local``, its socket's, if the lab gives it that address."""
        return local if local and self.topology.local(flow.src.netns, local) else self._source(flow)

    def _source(self, flow: Flow) -> str:
        is_v6 = ":" in flow.address
        if flow.src.netns in self._nodes:
            return self.topology.source_for(flow.src.netns, flow.address)
        if self.topology.local(flow.src.netns, flow.address):
            return flow.address
        return next((address for address in flow.src.addresses if (":" in address) == is_v6), "")

    def _sources(
        self, flow: Flow, service_paths: ServicePaths | None, request: Path, source: str
    ) -> tuple[tuple[str, str], ...]:
        """The namespaces that masquerade the request, in order, each with the source address that it sets."""
        first = self._leaving(flow, request, source)
        masqueraded = service_paths is not None and service_paths.masqueraded
        if not masqueraded and request.target != source:
            return first
        for netns in request.translated:
            dev = request.left_by.get(netns)
            if dev:
                own = self.topology.own(netns, dev, request.target)
                return (*first, (netns, own)) if own else first
        return first

    def _leaving(self, flow: Flow, request: Path, source: str) -> tuple[tuple[str, str], ...]:
        """The sender's node, if the request leaves the Pods' network there: the node masquerades it."""
        inside = self._cluster.pod_cidrs
        if not self._cluster.masquerades or flow.src.kind in (NODE, EXTERNAL) or not _within(source, inside):
            return ()
        netns, dev = next(((node, dev) for node, dev in request.left_by.items() if node in self._nodes), ("", ""))
        target = request.target if netns in request.translated else flow.address
        own = self.topology.own(netns, dev, target) if netns and not _within(target, inside) else ""
        return ((netns, own),) if own else ()


def _within(address: str, networks: Sequence[object]) -> bool:
    ip = ip_address(address)
    return any(ip in network for network in networks)  # type: ignore[operator]


def divergence(
    expected: Sequence[Hop], seen: Sequence[Hop], *, besides: Collection[Hop] = (), lost: bool = False
) -> Divergence | None:
    """The first difference between the expected and the seen hops; None if all expected hops were seen.

    Extra sightings (a bridge's flooded copies) are no divergence, and hops in ``besides`` are optional.  ``lost``:
    sightings are missing, so a hop counts as passed if a later hop was seen.
    """
    seen = [hop for hop in seen if hop not in besides or hop in expected]
    at = 0
    after: Hop | None = None
    for number, hop in enumerate(expected):
        index = next((position for position in range(at, len(seen)) if seen[position] == hop), None)
        if index is None:
            rest = expected[number + 1 :]
            if lost and any(later in seen[at:] for later in rest):
                continue
            return Divergence(after, hop, seen[at] if at < len(seen) else None)
        at, after = index + 1, hop
    return None


def detour(expected: Sequence[Hop], seen: Sequence[Hop], router: str) -> Divergence:
    """The divergence of a packet that was routed by a namespace off its path, and returned to the path."""
    at = 0
    after: Hop | None = None
    went: Hop | None = None
    for hop in seen:
        if at < len(expected) and hop == expected[at]:
            at, after, went = at + 1, hop, None
        else:
            went = went or hop
        if hop.netns == router:
            break
    return Divergence(after, expected[at] if at < len(expected) else None, went)


__all__ = ["Divergence", "Expecter", "RoundTrip", "detour", "divergence"]
