"""The node of each Pod: the filters of kube-scheduler, then round robin over the remaining nodes.

Obeyed: nodeName, nodeSelector, required node affinity, taints and ``unschedulable``, ports of the node itself (hostPort,
hostNetwork), required Pod affinity and anti-affinity, topology spread with DoNotSchedule.  Not: CPU and memory, volumes,
and all that is only preferred.  A Pod that no node fits stays Pending, with the scheduler's own sentence.

A Pod of a running lab stays on its node, as in a cluster.  It is placed anew if its own demands changed, if a taint
with NoExecute evicts it, or if another Pod has its port.  The turn goes on over such Pods too, so a Pod that is added
last is put where a new lab would put it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from netlab.errors import Mark
from netlab.model.cluster import Node
from netlab.model.workloads.nodefit import REQUIRED, UNSCHEDULABLE, selected, untolerated
from netlab.model.workloads.ports import HostPort, node_ports
from netlab.model.workloads.templates import Template
from netlab.names import short_hash
from netlab.spec.rules import matches
from netlab.tuples import NamedTuple

Body = Mapping[str, Any]

_HOSTNAME = "kubernetes.io/hostname"
PORTS = "node(s) didn't have free ports for the requested pod ports"
_SELECTOR = "node(s) didn't match Pod's node affinity/selector"
_SPREAD = "node(s) didn't match pod topology spread constraints"
_AFFINITY = "node(s) didn't match pod affinity rules"
_ANTI = "node(s) didn't match pod anti-affinity rules"
_ANTI_OF_OTHERS = "node(s) didn't satisfy existing pods anti-affinity rules"
# Where in a Pod's spec the cause of a refusal stands.
_CAUSES: dict[str, tuple[str, ...]] = {
    _SPREAD: ("topologySpreadConstraints",),
    _AFFINITY: ("affinity", "podAffinity"),
    _ANTI: ("affinity", "podAntiAffinity"),
}


class Placed(NamedTuple):
    """What becomes of a Pod: its node; or none, with the ``reason`` that its status gives and the message.

    ``forced``: no node fits, and it is put on this one all the same (see ``Scheduler``).
    """

    node: Node | None
    reason: str = ""
    message: str = ""
    mark: Mark | None = None
    forced: bool = False


class Stay(NamedTuple):
    """The node of a running Pod, and the ``demands`` with which it was placed."""

    node: str
    demands: str


def demands(spec: Body) -> str:
    """A mark of all in a Pod's spec that the choice of its node depends on, "" where there is nothing."""
    keys = ("nodeSelector", "affinity", "tolerations", "topologySpreadConstraints")
    there = {key: spec[key] for key in keys if spec.get(key)}
    return short_hash(json.dumps(there, sort_keys=True)) if there else ""


# -- Pods beside each other -------------------------------------------------------------------------------------------


class _Term:
    """A set of Pods, by namespace and label, counted by node; ``holders``: those that keep this set away (anti-affinity)."""

    def __init__(self, selects: _Selects, topology: str) -> None:
        self.selects, self.topology = selects, topology
        self.matching: Counter[str] = Counter()
        self.holders: Counter[str] = Counter()
        self._domains: Counter[str] = Counter()
        self._held: Counter[str] = Counter()

    def add(self, template: Template, node: Node) -> None:
        """A Pod has come to a node."""
        if self.selects(template):
            self.matching[node.name] += 1
            self._domains[node.labels.get(self.topology, "")] += 1

    def hold(self, node: Node) -> None:
        """A Pod that has this anti-affinity has come to a node."""
        self.holders[node.name] += 1
        self._held[node.labels.get(self.topology, "")] += 1

    def here(self, node: Node) -> bool:
        """Whether such a Pod is in the node's domain."""
        return self.topology in node.labels and self._domains[node.labels[self.topology]] > 0

    def kept_away(self, node: Node) -> bool:
        """Whether a Pod in the node's domain keeps this set away."""
        return self.topology in node.labels and self._held[node.labels[self.topology]] > 0


class _Selects(NamedTuple):
    """The Pods of some namespaces with these labels; without a selector none."""

    namespaces: frozenset[str]
    selector: Body | None

    def __call__(self, template: Template) -> bool:
        if self.selector is None or template.namespace not in self.namespaces:
            return False
        return matches(dict(self.selector), dict(template.labels))


class _Wanted(NamedTuple):
    """The demands of a Pod on the Pods beside it."""

    near: tuple[_Term, ...]
    apart: tuple[_Term, ...]
    spread: tuple[tuple[_Term, Body], ...]


class Scheduler:
    """The nodes of one lab while they fill up.

    ``lenient``: netlab chose the nodes, not the author. So a Pod that fits none is placed all the same, unless a port
    is taken.  ``ended``: Pods that have ended hold no port and count for nobody; they stay where they were.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        namespaces: Mapping[str, Mapping[str, str]],
        *,
        lenient: bool = False,
        ended: Collection[str] = (),
    ) -> None:
        self._ended = ended
        self._nodes, self._namespaces, self._lenient = nodes, namespaces, lenient
        self._by_name = {node.name: node for node in nodes}
        self._ports: dict[tuple[str, int, str], list[tuple[str, Template]]] = {}
        self._terms: dict[str, _Term] = {}
        self._apart: dict[str, _Term] = {}
        self._there: list[tuple[Template, Node]] = []
        # By the identity of a Pod's spec, which the Pods of a Deployment share; the documents keep it alive.
        self._ports_of: dict[int, tuple[HostPort, ...]] = {}
        self._wants: dict[int, _Wanted] = {}
        self._static: dict[tuple[int, str], list[tuple[Node, str]]] = {}

    def place(self, templates: Sequence[Template], stays: Mapping[str, Stay]) -> list[Placed | None]:
        """The placement of each Pod; None where its ``nodeName`` is no node's."""
        placements: list[Placed | None] = [None] * len(templates)
        queue: list[int] = []
        for number, template in enumerate(templates):
            if self._chosen(template):
                queue.append(number)
            else:
                placements[number] = self._fixed(template)
        for number in queue:
            placements[number] = self._stayed(templates[number], stays.get(templates[number].full))
        turn, waiting = 0, queue
        while waiting:
            left = []
            for number in waiting:
                placed = placements[number] if waiting is queue else None
                if placed is None:
                    placed = placements[number] = self._schedule(templates[number], turn)
                if placed.node is None:
                    left.append(number)
                # A DaemonSet's Pod takes no turn.
                elif not templates[number].node and templates[number].full not in self._ended:
                    turn += 1
            if len(left) == len(waiting):
                break  # nobody came whom the others waited for
            waiting = left
        if self._lenient:
            for number in waiting:
                placements[number] = self._forced(templates[number], turn, placements[number])
                turn += 1
        return placements

    # -- where there is no choice -------------------------------------------------------------------------------------

    def _chosen(self, template: Template) -> bool:
        """Whether the scheduler has the choice: no node is named, and no address is of a node's range."""
        if template.path and template.controller.startswith("DaemonSet/"):
            return True
        return not template.node and self._of_address(template) is None

    def _fixed(self, template: Template) -> Placed | None:
        node = self._by_name.get(template.node) if template.node else self._of_address(template)
        if node is None:
            return None
        taken = self._taken(template, node)
        if taken is not None:
            port, other = taken
            message = f"Pods {other.full} and {template.full} both want {port.host_port}/{port.protocol} of node {node.name} itself"
            return Placed(None, "NodePorts", message, port.mark)
        self._put(template, node)
        return Placed(node)

    def _of_address(self, template: Template) -> Node | None:
        for text in template.given_addresses:
            for node in self._nodes:
                if any(ip_address(text) in cidr for cidr in node.pod_cidrs):
                    return node
        return None

    def _stayed(self, template: Template, stay: Stay | None) -> Placed | None:
        node = self._by_name.get(stay.node) if stay else None
        if node is None or stay is None or stay.demands != demands(template.spec):
            return None
        if untolerated(template.spec, node, ("NoExecute",)) or self._taken(template, node):
            return None
        if template.node not in ("", node.name):
            return None
        self._put(template, node)
        return Placed(node)

    # -- the scheduler's choice ---------------------------------------------------------------------------------------

    def _schedule(self, template: Template, turn: int) -> Placed:
        """Put a Pod on the next fitting node."""
        if template.spec.get("schedulingGates"):
            return Placed(None, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
        wanted = self._wanted(template)
        against = [term for term in self._apart.values() if term.selects(template)]
        fits, refusals = [], []
        for node, refusal in self._allowed(template):
            refusal = refusal or self._refusal(template, wanted, against, node)
            if refusal:
                refusals.append(refusal)
            else:
                fits.append(node)
        if not fits:
            refusals += [_SELECTOR] * (len(self._nodes) - len(refusals))
            return Placed(None, "Unschedulable", _sentence(refusals), self._cause(template, refusals))
        node = fits[turn % len(fits)]
        self._put(template, node)
        return Placed(node)

    def _forced(self, template: Template, turn: int, before: Placed | None) -> Placed | None:
        nodes = [
            node for node in self._nodes if self._taken(template, node) is None and template.node in ("", node.name)
        ]
        if not nodes or before is None:
            return before
        node = nodes[turn % len(nodes)]
        self._put(template, node)
        return before._replace(node=node, forced=True)

    def _allowed(self, template: Template) -> list[tuple[Node, str]]:
        """The nodes, each with what refuses the Pod whoever else is there, in kube-scheduler's words.

        A DaemonSet's Pod has its node in an affinity: only that is looked at, as there may be thousands of both.
        """
        if own := self._by_name.get(template.node):
            return [(own, self._refused(template, own))]
        key = id(template.spec), template.node
        if key not in self._static:
            self._static[key] = [(node, self._refused(template, node)) for node in self._nodes]
        return self._static[key]

    def _refused(self, template: Template, node: Node) -> str:
        if template.node and node.name != template.node:
            return _SELECTOR  # a DaemonSet's Pod has its node in an affinity
        taint = untolerated(template.spec, node)
        if taint is UNSCHEDULABLE:
            return "node(s) were unschedulable"
        if taint is not None:
            return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
        return "" if selected(template.spec, node) else _SELECTOR

    def _refusal(self, template: Template, wanted: _Wanted, against: Sequence[_Term], node: Node) -> str:
        """Why a node does not fit for the Pods that are there; the order is that of the scheduler's plugins."""
        if self._taken(template, node) is not None:
            return PORTS
        if not all(self._spreads(template, term, constraint, node) for term, constraint in wanted.spread):
            return _SPREAD
        if wanted.near and not all(term.here(node) for term in wanted.near):
            # The first of Pods that want each other's company has nobody yet.
            alone = not any(term.matching.total() for term in wanted.near)
            if not (alone and all(term.selects(template) and term.topology in node.labels for term in wanted.near)):
                return _AFFINITY
        if any(term.here(node) for term in wanted.apart):
            return _ANTI
        return _ANTI_OF_OTHERS if any(term.kept_away(node) for term in against) else ""

    def _spreads(self, template: Template, term: _Term, constraint: Body, node: Node) -> bool:
        if term.topology not in node.labels:
            return False
        honoured = constraint.get("nodeAffinityPolicy", "Honor") == "Honor"
        counts: Counter[str] = Counter()
        for each in self._nodes:
            if term.topology not in each.labels or (honoured and not selected(template.spec, each)):
                continue
            if constraint.get("nodeTaintsPolicy") == "Honor" and untolerated(template.spec, each):
                continue
            counts[each.labels[term.topology]] += term.matching[each.name]
        fewest = min(counts.values(), default=0) if len(counts) >= constraint.get("minDomains", 1) else 0
        now = counts[node.labels[term.topology]] + term.selects(template)
        return bool(now - fewest <= constraint.get("maxSkew", 1))

    def _cause(self, template: Template, refusals: Sequence[str]) -> Mark:
        for refusal in refusals:
            if refusal == PORTS:
                taken = next((pod for node in self._nodes if (pod := self._taken(template, node))), None)
                return (taken[0].mark if taken else None) or template.mark
            if refusal == _SELECTOR:
                selected = "nodeSelector" in template.spec
                return template.at("nodeSelector") if selected else template.at("affinity", "nodeAffinity")
            if refusal in _CAUSES:
                return template.at(*_CAUSES[refusal])
        return template.mark

    # -- what is where ------------------------------------------------------------------------------------------------

    def _taken(self, template: Template, node: Node) -> tuple[HostPort, Template] | None:
        """The first port of the node itself that the Pod wants and another Pod has."""
        if template.full in self._ended:
            return None
        for port in self._node_ports(template):
            for address, other in self._ports.get((node.name, port.host_port, port.protocol), ()):
                if not address or not port.address or address == port.address:
                    return port, other
        return None

    def _node_ports(self, template: Template) -> tuple[HostPort, ...]:
        key = id(template.spec)
        if key not in self._ports_of:
            self._ports_of[key] = node_ports(template)
        return self._ports_of[key]

    def _put(self, template: Template, node: Node) -> None:
        if template.full in self._ended:
            return
        for port in self._node_ports(template):
            self._ports.setdefault((node.name, port.host_port, port.protocol), []).append((port.address, template))
        wanted = self._wanted(template)
        for term in self._terms.values():
            term.add(template, node)
        for term in wanted.apart:
            term.hold(node)
        self._there.append((template, node))

    def _wanted(self, template: Template) -> _Wanted:
        key = id(template.spec)
        if key not in self._wants:
            self._wants[key] = self._demanded(template)
        return self._wants[key]

    def _demanded(self, template: Template) -> _Wanted:
        affinity = template.spec.get("affinity", {})
        near, apart = (
            tuple(self._term(template, term) for term in affinity.get(kind, {}).get(REQUIRED, ()))
            for kind in ("podAffinity", "podAntiAffinity")
        )
        spread = tuple(
            (self._term(template, constraint), constraint)
            for constraint in template.spec.get("topologySpreadConstraints", ())
            if constraint.get("whenUnsatisfiable") == "DoNotSchedule"
        )
        for term in apart:
            self._apart.setdefault(_key(term), term)
        return _Wanted(near, apart, spread)

    def _term(self, template: Template, body: Body) -> _Term:
        namespaces = frozenset(self._namespaces_of(template, body))
        term = _Term(_Selects(namespaces, _selector(template, body)), str(body.get("topologyKey", _HOSTNAME)))
        key = _key(term)
        if key not in self._terms:
            self._terms[key] = term
            for each, node in self._there:
                term.add(each, node)
        return self._terms[key]

    def _namespaces_of(self, template: Template, body: Body) -> Iterator[str]:
        if "namespaces" not in body and "namespaceSelector" not in body:
            yield template.namespace
        yield from body.get("namespaces", ())
        if "namespaceSelector" in body:
            yield from (
                name for name, labels in self._namespaces.items() if matches(body["namespaceSelector"], dict(labels))
            )


def _key(term: _Term) -> str:
    return json.dumps([sorted(term.selects.namespaces), term.selects.selector, term.topology], sort_keys=True)


def _selector(template: Template, body: Body) -> Body | None:
    """The labelSelector, with what matchLabelKeys and mismatchLabelKeys add of the Pod's own labels."""
    selector: Body | None = body.get("labelSelector")
    more = [
        {"key": key, "operator": operator, "values": [template.labels[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in body.get(field, ())
        if key in template.labels
    ]
    if selector is None or not more:
        return selector
    return {**selector, "matchExpressions": [*selector.get("matchExpressions", ()), *more]}


def _sentence(refusals: Iterable[str]) -> str:
    """``0/3 nodes are available: 1 node(s) ..., 2 node(s) ....``"""
    counted = Counter(refusals)
    parts = sorted(f"{number} {message}" for message, number in counted.items())
    return f"0/{sum(counted.values())} nodes are available: {', '.join(parts)}."
