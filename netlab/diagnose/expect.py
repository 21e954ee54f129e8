"""The way that the model has a flow go, there and back; and where a packet left it.

``Expecter`` puts together what the cluster knows of a flow (which node translates a Service's address, whether the source
is masqueraded: ``oracle.service``) and what the desired state knows of the way (``way``).  Which of a Service's backends
was chosen only the packet can tell: ``backend`` says it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from netlab.diagnose.topology import Topology
from netlab.diagnose.way import Hop, Way, walk
from netlab.model import Cluster
from netlab.objects import Key, Obj, Why
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, EXTERNAL, NODE, Endpoint, Flow
from netlab.oracle.service import ServiceWays, Ways


@dataclass(frozen=True, slots=True)
class Journey:
    """The expected way of a question, and of its answer (None where none is expected).

    ``backend`` is the address that the target's is translated to ("": it is not), ``backends`` all that it may be, each
    with its port; ``source`` the sender's own address, ``seen_as`` what the target sees of it.  ``because``: the Service.
    """

    question: Way
    answer: Way | None
    source: str = ""
    backend: str = ""
    backends: tuple[tuple[str, int], ...] = ()
    seen_as: str = ""
    because: Why | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where a packet left its way: behind ``after``, ``expected`` was next and it ``went`` elsewhere.

    ``went`` None: it was not seen again; ``expected`` None: it should have ended there.
    """

    after: Hop | None
    expected: Hop | None
    went: Hop | None

    @property
    def stopped(self) -> bool:
        """Whether it was not seen again."""
        return self.went is None

    @property
    def netns(self) -> str:
        """The namespace that decided."""
        place = self.after or self.expected or self.went
        return place.netns if place else ""

    def __str__(self) -> str:
        after = f"after {self.after}, " if self.after else ""
        if self.expected is None:
            return f"{after}it should have ended, but it went on to {self.went}"
        if self.went is None:
            return f"{after}{self.expected} was expected next, but it was not seen there"
        verb = "left by" if self.went.direction == "out" else "came in at"
        return f"{after}{self.expected} was expected next, but it {verb} {self.went}"


class Expecter:
    """Answers for one cluster in its desired state."""

    def __init__(self, cluster: Cluster, want: Mapping[Key, Obj]) -> None:
        self._cluster = cluster
        self.topology = Topology(want)
        self.known = Endpoints(cluster)
        self._services = ServiceWays(cluster, self.known)
        self._nodes = {node.netns: node for node in cluster.nodes}

    def flow(self, netns: str, address: str, port: int, protocol: str) -> Flow:
        """The question that a packet from a namespace to an address asks."""
        return Flow.to(self._sender(netns), self.known.at(address), address, port, protocol)

    def _sender(self, netns: str) -> Endpoint:
        ends = (*self.known.nodes.values(), *self.known.pods.values(), *self.known.external.values())
        return next((one for one in ends if one.netns == netns), Endpoint(ADDRESS, netns, netns))

    def journey(self, flow: Flow, *, source: str = "", backend: str = "", seen_as: str = "") -> Journey:
        """The way of a flow; what the packet itself told may be given."""
        ways = self._services.of(flow)
        choices, ways_why = self._choices(flow, ways)
        chosen = backend or (choices[0][0] if choices else "")
        start = flow.src.netns
        translate = {(netns, flow.address): chosen for netns in self._translators(flow)} if chosen else {}
        question = walk(self.topology, start, flow.address, translate)
        if ways is not None and not ways.flows:
            question = self._stopped(question, ways)
        source = source or self._source(flow)
        found = Journey(question, None, source, chosen if question.translated else "", choices, "", ways_why)
        if not question.arrives or not source:
            return found
        seen_as = seen_as or self._seen_as(flow, ways, question, source)
        back = {(netns, seen_as): source for netns in self._masqueraders(question, seen_as, source)}
        answer = walk(self.topology, question.netns, seen_as, back)
        return replace(found, answer=answer, seen_as=seen_as)

    # -- Services -----------------------------------------------------------------------------------------------------

    def _choices(self, flow: Flow, ways: Ways | None) -> tuple[tuple[tuple[str, int], ...], Why | None]:
        """The backends that a flow may get."""
        if ways is not None:
            return tuple((one.address, one.port) for one in ways.flows), ways.because
        behind = self.known.behind(flow)
        if behind is None:
            return (), None
        return ((behind.address, behind.port),), Why(f"hostPort of Pod {behind.dst.name}")

    def _translators(self, flow: Flow) -> list[str]:
        """The namespaces that may translate the target: a node's own ports only that node, else the first on the way."""
        owner = next(
            (one for one in self._nodes.values() if any(str(a.ip) == flow.address for a in one.addresses)), None
        )
        return [owner.netns] if owner else list(self._nodes)

    def _stopped(self, question: Way, ways: Ways) -> Way:
        """A Service without backends: the packet ends at the first node that it meets."""
        hops: list[Hop] = []
        for hop in question.hops:
            if hop.netns in self._nodes and hop.direction == "out":
                break
            hops.append(hop)
        last = hops[-1].netns if hops else question.netns
        if last not in self._nodes and hops == list(question.hops):
            return question
        return replace(question, hops=tuple(hops), arrives=False, says=ways.because.says, netns=last)

    # -- the source ---------------------------------------------------------------------------------------------------

    def _source(self, flow: Flow) -> str:
        """The address that a sender uses."""
        is_v6 = ":" in flow.address
        if flow.src.netns in self._nodes:
            return self.topology.source_for(flow.src.netns, flow.address)
        if self.topology.local(flow.src.netns, flow.address):
            return flow.address
        return next((one for one in flow.src.addresses if (":" in one) == is_v6), "")

    def _seen_as(self, flow: Flow, ways: Ways | None, question: Way, source: str) -> str:
        """The source that the target sees."""
        if ways is not None and (ways.masqueraded or question.target == source):
            for netns in question.translated:
                dev = question.left_by.get(netns)
                if dev:
                    return self.topology.own(netns, dev, question.target) or source
            return source
        inside = self._cluster.pod_cidrs
        leaves = self._cluster.masquerades and flow.src.kind not in (NODE, EXTERNAL)
        if leaves and _within(source, inside) and not _within(question.target, inside):
            for netns, dev in question.left_by.items():
                if netns in self._nodes:
                    return self.topology.own(netns, dev, question.target) or source
        return source

    def _masqueraders(self, question: Way, seen_as: str, source: str) -> list[str]:
        """The namespaces of the way in which the answer's target becomes the source's own address again."""
        if seen_as == source:
            return []
        passed = list(dict.fromkeys(hop.netns for hop in question.hops))
        return [netns for netns in passed if netns in self._nodes and self.topology.local(netns, seen_as)]


def _within(address: str, networks: Sequence[object]) -> bool:
    one = ip_address(address)
    return any(one in network for network in networks)  # type: ignore[operator]


def divergence(
    expected: Sequence[Hop], seen: Sequence[Hop], *, besides: Collection[Hop] = (), lost: bool = False
) -> Divergence | None:
    """The first place where what was seen is not what was expected; None where all of it was seen.

    What else was seen between (a bridge's flooded copies) is no divergence; ``besides`` may be seen or not.  ``lost``: sightings are missing, so that a
    hop counts as passed where a later one was seen.
    """
    seen = [hop for hop in seen if hop not in besides or hop in expected]
    at = 0
    after: Hop | None = None
    for number, hop in enumerate(expected):
        found = next((place for place in range(at, len(seen)) if seen[place] == hop), None)
        if found is None:
            rest = expected[number + 1 :]
            if lost and any(one in seen[at:] for one in rest):
                continue
            return Divergence(after, hop, seen[at] if at < len(seen) else None)
        at, after = found + 1, hop
    return None


__all__ = ["Divergence", "Expecter", "Journey", "divergence"]
