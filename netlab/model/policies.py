"""NetworkPolicies resolved: typed rules, and the Pods that their selectors mean.

``resolve`` reads one document: every default filled in, every CIDR masked, every rule with its place.  ``Selection``
finds Pods: each selector is compiled once and asked once, over an index from labels to Pods, however many policies use
it.  What a selector means does not depend on the policy but for the namespace that a lone podSelector looks in.

The semantics are those of networking.k8s.io/v1.  What it leaves open is decided in ``netlab.oracle.policy``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

from netlab.errors import Mark
from netlab.memo import Latest, Memo
from netlab.model.bylabel import ByLabel
from netlab.near import close
from netlab.spec import Document

if TYPE_CHECKING:
    from netlab.model.cluster import Cluster, Pod

INGRESS, EGRESS = "ingress", "egress"
# How far a label is from a requirement that it does not meet; 1 where there is no such label.
_MISSPELT, _OTHER_VALUE = 0.5, 0.9
NAME_LABEL = "kubernetes.io/metadata.name"  # every namespace has it, and its value is the name


@dataclass(frozen=True, slots=True)
class Requirement:
    """``key operator values``, of which a selector demands every one.  A matchLabel is ``In`` with one value."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """As apimachinery's labels.Requirement: NotIn also matches where the key is absent."""
        if self.operator == "In":
            return self.key in labels and labels[self.key] in self.values
        if self.operator == "NotIn":
            return self.key not in labels or labels[self.key] not in self.values
        return (self.key in labels) == (self.operator == "Exists")

    def __str__(self) -> str:
        if self.operator == "In" and len(self.values) == 1:
            return f"{self.key}={next(iter(self.values))}"
        words = {"In": "in", "NotIn": "notin"}.get(self.operator)
        if words:
            return f"{self.key} {words} ({','.join(sorted(self.values))})"
        return self.key if self.operator == "Exists" else f"!{self.key}"

    def why_not(self, labels: Mapping[str, str]) -> str:
        """Which label stands against it, where it does not hold."""
        if self.operator in ("In", "Exists") and self.key not in labels:
            return f"has no label {self.key}, which {self} asks for"
        return f"has {self.key}={labels[self.key]}, not {self}"

    def distance(self, labels: Mapping[str, str]) -> float:
        """How far labels are from it: 0 where it holds, least where a value was probably misspelt."""
        if self.holds(labels):
            return 0.0
        if self.key not in labels:
            return 1.0
        return _MISSPELT if close(labels[self.key], self.values) else _OTHER_VALUE


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A compiled label selector; without requirements it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(one.holds(labels) for one in self.requirements)

    def exact(self) -> dict[str, str]:
        """The labels that it demands with one value each."""
        single = (one for one in self.requirements if one.operator == "In" and len(one.values) == 1)
        return {one.key: next(iter(one.values)) for one in single}

    def why_not(self, labels: Mapping[str, str]) -> str:
        """The labels that stand against it; empty where it matches."""
        return " and ".join(one.why_not(labels) for one in self.requirements if not one.holds(labels))

    def distance(self, labels: Mapping[str, str]) -> float:
        return sum(one.distance(labels) for one in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements)) or "{}"

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> LabelSelector:
        """From a LabelSelector as it is written."""
        found = [Requirement(key, "In", frozenset((value,))) for key, value in body.get("matchLabels", {}).items()]
        found += [
            Requirement(one["key"], one["operator"], frozenset(one.get("values", ())))
            for one in body.get("matchExpressions", ())
        ]
        return cls(tuple(sorted(found, key=str)))


@dataclass(frozen=True, slots=True)
class PodPeer:
    """Pods by labels.  ``namespaces`` None: those of ``namespace``, the policy's own; else those of all that match."""

    pods: LabelSelector
    namespaces: LabelSelector | None
    namespace: str = ""

    def __str__(self) -> str:
        pods = f"Pods {self.pods}" if self.pods.requirements else "all Pods"
        if self.namespaces is None:
            return f"{pods} of namespace {self.namespace}"
        where = f"namespaces {self.namespaces}" if self.namespaces.requirements else "all namespaces"
        return f"{pods} of {where}"


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses: ``cidr`` less ``excepts``.  Pods' addresses count as any other."""

    cidr: IPv4Network | IPv6Network
    excepts: tuple[IPv4Network | IPv6Network, ...] = ()

    def __str__(self) -> str:
        return f"{self.cidr}" + (f" except {', '.join(map(str, self.excepts))}" if self.excepts else "")


Peer = PodPeer | Block


@dataclass(frozen=True, slots=True)
class PortMatch:
    """Ports of the destination.  ``first`` None and no ``name``: every port of the protocol; ``last`` is inclusive."""

    protocol: str = "TCP"
    first: int | None = None
    last: int | None = None
    name: str = ""

    def __str__(self) -> str:
        if self.name or self.first is None:
            return f"{self.name or 'every port'}/{self.protocol}"
        return f"{self.first}{f'-{self.last}' if self.last != self.first else ''}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One item of ingress or egress.  No ``peers``: from or to everywhere.  No ``ports``: every protocol and port."""

    direction: str
    index: int
    peers: tuple[Peer, ...] = ()
    ports: tuple[PortMatch, ...] = ()
    mark: Mark | None = None

    def __str__(self) -> str:
        return f"{self.direction}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Policy:
    """A NetworkPolicy.  ``ingress`` and ``egress`` are its rules, None where it does not isolate in that direction."""

    namespace: str
    name: str
    pods: LabelSelector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None
    mark: Mark | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def rules(self, direction: str) -> tuple[Rule, ...] | None:
        """The rules of a direction, None where the policy does not isolate in it."""
        return self.ingress if direction == INGRESS else self.egress

    @property
    def subject(self) -> PodPeer:
        """The Pods that it is about."""
        return PodPeer(self.pods, None, self.namespace)


def resolve(document: Document) -> Policy:
    """A NetworkPolicy document, which the reader has checked.

    policyTypes missing or empty: Ingress, and Egress if there is an egress rule.
    """
    spec = document.body.get("spec", {})
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return Policy(
        document.namespace,
        document.name,
        LabelSelector.of(spec.get("podSelector", {})),
        _rules(document, INGRESS, "from") if "Ingress" in types else None,
        _rules(document, EGRESS, "to") if "Egress" in types else None,
        document.at("metadata", "name"),
    )


#: Documents that were resolved before stay resolved: of ten thousand policies one changes at a time.
resolve_all = Memo(resolve).all


def _rules(document: Document, direction: str, peers: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            direction,
            index,
            tuple(_peer(one, document.namespace) for one in body.get(peers, ())),
            tuple(map(_port, body.get("ports", ()))),
            document.at("spec", direction, index),
        )
        for index, body in enumerate(document.body.get("spec", {}).get(direction, ()))
    )


def _peer(body: Mapping[str, Any], namespace: str) -> Peer:
    if "ipBlock" in body:
        block = body["ipBlock"]
        excepts = tuple(ip_network(one, strict=False) for one in block.get("except", ()))
        return Block(ip_network(block["cidr"], strict=False), excepts)
    own = "namespaceSelector" not in body
    namespaces = None if own else LabelSelector.of(body["namespaceSelector"])
    return PodPeer(LabelSelector.of(body.get("podSelector", {})), namespaces, namespace if own else "")


def _port(body: Mapping[str, Any]) -> PortMatch:
    port, protocol = body.get("port"), body.get("protocol", "TCP")
    if isinstance(port, str):
        return PortMatch(protocol, name=port)
    return PortMatch(protocol, port, body.get("endPort", port))


class _Index:
    """The policies of a lab, which know what selects a Pod for as long as both stay."""

    _KEPT = 100_000  # Pods, a few times what one lab has

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self._by_label = ByLabel(policies, lambda one: one.pods.exact())
        self._known: dict[int, tuple[Pod, Mapping[str, tuple[Policy, ...]]]] = {}

    def selecting(self, pod: Pod) -> Mapping[str, tuple[Policy, ...]]:
        """By direction, those that isolate the Pod, in document order."""
        known = self._known.get(id(pod))
        if known is None or known[0] is not pod:
            if len(self._known) > self._KEPT:
                self._known.clear()
            self._known[id(pod)] = known = pod, self._found(pod)
        return known[1]

    def _found(self, pod: Pod) -> Mapping[str, tuple[Policy, ...]]:
        chosen = [one for one in self._by_label.of(pod.namespace, pod.labels) if one.pods.matches(pod.labels)]
        return {
            INGRESS: tuple(one for one in chosen if one.ingress is not None),
            EGRESS: tuple(one for one in chosen if one.egress is not None),
        }


_index = Latest(_Index)


class Selection:
    """Who is selected in a cluster, each selector asked once.

    Pods of the host's network are never selected: their address is the node's.  Nor are those that have ended: in a
    cluster their address may be another's by now.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.pods = tuple(pod for pod in cluster.pods if not pod.host_network and not pod.ended)
        self.policies = cluster.network_policies
        self._number = {str(pod): number for number, pod in enumerate(self.pods)}
        self._of_namespace: dict[str, list[Pod]] = {}
        self._labelled: dict[tuple[str, str, str], list[Pod]] = {}
        for pod in self.pods:
            self._of_namespace.setdefault(pod.namespace, []).append(pod)
            for key, value in pod.labels.items():
                self._labelled.setdefault((pod.namespace, key, value), []).append(pod)
        self._members: dict[PodPeer, tuple[Pod, ...]] = {}
        self._ports: dict[tuple[str, str, str], int | None] = {}

    def labels(self, namespace: str) -> Mapping[str, str]:
        """A namespace's labels, with the one that each has."""
        return self._cluster.namespaces.get(namespace, {NAME_LABEL: namespace})

    def members(self, peer: PodPeer) -> tuple[Pod, ...]:
        """The Pods that a peer means, in document order."""
        found = self._members.get(peer)
        if found is None:
            if peer.namespaces is None:
                found = tuple(self._in(peer.namespace, peer.pods))
            else:
                names = [name for name in self._of_namespace if peer.namespaces.matches(self.labels(name))]
                pods = [pod for name in names for pod in self._in(name, peer.pods)]
                found = tuple(sorted(pods, key=lambda pod: self._number[str(pod)]) if len(names) > 1 else pods)
            self._members[peer] = found
        return found

    def _in(self, namespace: str, selector: LabelSelector) -> Iterable[Pod]:
        """Those of a namespace: the shortest list that one of the labels leads to, less whom the others exclude."""
        lists = [self._labelled.get((namespace, *label), []) for label in selector.exact().items()]
        if lists and len(selector.requirements) == 1:  # by far the most: one label, and its list is the answer
            return lists[0]
        pods = min(lists, key=len) if lists else self._of_namespace.get(namespace, [])
        return [pod for pod in pods if selector.matches(pod.labels)]

    def means(self, peer: PodPeer, pod: Pod) -> bool:
        """Whether a peer means a Pod."""
        if peer.namespaces is None:
            here = pod.namespace == peer.namespace
        else:
            here = peer.namespaces.matches(self.labels(pod.namespace))
        return here and peer.pods.matches(pod.labels)

    def selecting(self, pod: Pod, direction: str) -> tuple[Policy, ...]:
        """The policies that isolate a Pod in a direction, in document order; the very same as long as nothing changes."""
        if pod.host_network or pod.ended:
            return ()
        return _index(self.policies).selecting(pod)[direction]

    def named_port(self, pod: Pod, name: str, protocol: str) -> int | None:
        """The number that a Pod's containers give a port's name in a protocol."""
        key = (str(pod), name, protocol)
        if key not in self._ports:
            found = (port.port for port in pod.ports if port.name == name and port.protocol == protocol)
            self._ports[key] = next(found, None)
        return self._ports[key]

    def holders(self, name: str, protocol: str, pods: Iterable[Pod]) -> Iterator[tuple[Pod, int]]:
        """The Pods that have a port of that name, with its number."""
        for pod in pods:
            number = self.named_port(pod, name, protocol)
            if number is not None:
                yield pod, number
