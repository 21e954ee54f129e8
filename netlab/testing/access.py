"""Who reaches what, a line a target: ``redis-cart:6379 <- cartservice``."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.oracle.flow import SERVICE, Flow, Outcome, Verdict
from netlab.testing.ground import INTERNET
from netlab.testing.prepared import Prepared
from netlab.testing.standins import role
from netlab.testing.workloads import OTHERS, OUTSIDE, OWN, SERVER, STRANGERS, Workload, Workloads
from netlab.tuples import NamedTuple

NOBODY = "nobody"
_ARROW = " <- "
_MARGIN = 44  # columns of targets that are lined up at their arrows


class Target(NamedTuple):
    """A port of a workload, or of somebody beside the manifests."""

    workload: Workload
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.workload.name}:{self.port}" + (f"/{self.protocol}" if self.protocol != "TCP" else "")


class Access:
    """The flows that are open, by target and source.  Services are left out: their Pods tell."""

    def __init__(self, prepared: Prepared, verdicts: Mapping[Flow, Verdict]) -> None:
        self._workloads = Workloads(prepared.cluster)
        self._home = prepared.questions.home
        self._served = _behind_services(prepared)
        self._undeclared = {
            (self._workloads.of(prepared.questions.endpoints.pods[name]), port.port, port.protocol)
            for name, extra in prepared.unserved.items()
            if not role(prepared.questions.endpoints.pod_of[name])
            for port in extra
        }
        self.pairs: dict[Target, dict[Workload, list[bool]]] = {}
        self._own: dict[Workload, None] = {}
        for flow, verdict in verdicts.items():
            if flow.dst.kind == SERVICE or flow.src.netns == flow.dst.netns:
                continue
            source, owner = self._workloads.of(flow.src), self._workloads.of(flow.dst)
            target = Target(owner, flow.port, flow.protocol)
            allowed = verdict.outcome is Outcome.OPEN and not verdict.wrong_server
            self.pairs.setdefault(target, {}).setdefault(source, []).append(allowed)
            if source.group == OWN:
                self._own[source] = None

    def lines(self) -> list[str]:
        """A line a target of the manifests; of all else the targets that have the same clients together."""
        inside = [
            (str(target) + self._mark(target), self._clients(target))
            for target in self.pairs
            if target.workload.group == OWN
        ]
        outside: dict[str, list[str]] = {}
        for target in self.pairs:
            if target.workload.group != OWN:
                outside.setdefault(self._clients(target), []).append(str(target))
        width = min(_MARGIN, max((len(target) for target, _ in inside), default=0))
        inside += [(", ".join(targets), clients) for clients, targets in outside.items()]
        return [f"{target:>{width}}{_ARROW}{clients}" for target, clients in inside]

    def closed(self, target: Target) -> bool:
        """Whether nobody reaches a port."""
        return not any(any(allowed) for allowed in self.pairs[target].values())

    def _mark(self, target: Target) -> str:
        return " (undeclared)" if (target.workload, target.port, target.protocol) in self._undeclared else ""

    def _clients(self, target: Target) -> str:
        by_group: dict[str, list[tuple[Workload, list[bool]]]] = {}
        for source, allowed in self.pairs[target].items():
            by_group.setdefault(source.group, []).append((source, allowed))
        names = self._own_clients(target, by_group.get(OWN, []))
        strangers = self._strangers(target, by_group.get(STRANGERS, []))
        names += strangers
        if not strangers:
            # What strangers may, everybody may: named are those who may more.
            for group in (OTHERS, SERVER):
                names += [_part(source, allowed) for source, allowed in by_group.get(group, []) if any(allowed)]
        outside = [source.name for source, allowed in by_group.get(OUTSIDE, []) if any(allowed)]
        names += outside[:1] if INTERNET in outside else outside  # what the internet may, every address may
        if not names:
            serves = (target.workload, target.port, target.protocol) in self._served
            return f"{NOBODY} (!)" if serves else NOBODY
        return ", ".join(names)

    def _own_clients(self, target: Target, pairs: list[tuple[Workload, list[bool]]]) -> list[str]:
        others = [(source, allowed) for source, allowed in pairs if source != target.workload]
        open_to = [(source, allowed) for source, allowed in pairs if any(allowed)]
        if len(others) > 1 and all(all(allowed) for _, allowed in others):
            return ["everyone"]
        return sorted(_part(source, allowed) for source, allowed in open_to)

    def _strangers(self, target: Target, pairs: list[tuple[Workload, list[bool]]]) -> list[str]:
        open_to = [source for source, allowed in pairs if all(allowed)]
        if pairs and len(open_to) == len(pairs):
            return ["strangers"]
        return [self._stranger(source.namespace, target.workload.namespace) for source in open_to]

    def _stranger(self, namespace: str, own: str) -> str:
        if namespace == own:
            return "strangers of its namespace"
        return f"strangers of namespace {namespace}" if namespace in self._home else "strangers of other namespaces"


def _part(source: Workload, allowed: list[bool]) -> str:
    """A source's name; where its replicas or the target's differ, how many flows are open."""
    return source.name if all(allowed) else f"{source.name} ({sum(allowed)} of {len(allowed)} flows)"


def _behind_services(prepared: Prepared) -> set[tuple[Workload, int, str]]:
    """The ports of workloads that a Service leads to."""
    workloads = Workloads(prepared.cluster)
    endpoints = prepared.questions.endpoints
    return {
        (workloads.of(endpoints.pods[backend.pod]), number, port.protocol)
        for service in prepared.cluster.services
        for backend in service.backends
        if backend.pod in endpoints.pods
        for port, number in zip(service.ports, backend.ports, strict=True)
        if number
    }
