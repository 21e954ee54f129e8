"""NetworkPolicies resolved to typed rules.

``resolve`` reads one document: every default filled in, every CIDR masked, every rule with its place.  A selector
means the same in every policy, except that a podSelector alone looks in the policy's own namespace.
``netlab.model.selection`` finds the Pods.

The semantics are those of networking.k8s.io/v1.  What it leaves open is decided in ``netlab.oracle.policy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from netlab.errors import Mark
from netlab.memo import Memo, Session
from netlab.near import close
from netlab.spec import Document
from netlab.values import dataclass

INGRESS, EGRESS = "ingress", "egress"
PROTOCOLS = ("TCP", "UDP", "SCTP")
#: What a rule does with what it matches.  A NetworkPolicy's allow; ``Pass`` leaves the decision to the next tier.
ALLOW, DENY, PASS = "Allow", "Deny", "Pass"
# How far a label is from a requirement that it does not meet; 1 where there is no such label.
MISSPELT, _OTHER_VALUE = 0.5, 0.9
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
        return MISSPELT if close(labels[self.key], self.values) else _OTHER_VALUE


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A compiled label selector; without requirements it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)

    def exact(self) -> dict[str, str]:
        """The labels that it demands with one value each."""
        single = (
            requirement
            for requirement in self.requirements
            if requirement.operator == "In" and len(requirement.values) == 1
        )
        return {requirement.key: next(iter(requirement.values)) for requirement in single}

    def why_not(self, labels: Mapping[str, str]) -> str:
        """The labels that stand against it; empty where it matches."""
        return " and ".join(
            requirement.why_not(labels) for requirement in self.requirements if not requirement.holds(labels)
        )

    def distance(self, labels: Mapping[str, str]) -> float:
        return sum(requirement.distance(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements)) or "{}"

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> LabelSelector:
        """From a LabelSelector as it is written."""
        requirements = [
            Requirement(key, "In", frozenset((value,))) for key, value in body.get("matchLabels", {}).items()
        ]
        requirements += [
            Requirement(expression["key"], expression["operator"], frozenset(expression.get("values", ())))
            for expression in body.get("matchExpressions", ())
        ]
        return cls(tuple(sorted(requirements, key=str)))


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


@dataclass(frozen=True, slots=True)
class Nodes:
    """The addresses of nodes, by the nodes' labels.  NetworkPolicies have no such peer."""

    selector: LabelSelector

    def __str__(self) -> str:
        return f"nodes {self.selector}" if self.selector.requirements else "all nodes"


@dataclass(frozen=True, slots=True)
class DomainNames:
    """Names in the DNS.  No rule knows their addresses, so they match nothing.  NetworkPolicies have no such peer."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.names)


Peer = PodPeer | Block | Nodes | DomainNames


@dataclass(frozen=True, slots=True)
class PortMatch:
    """Ports of the destination.  ``first`` None and no ``name``: every port of the protocol; ``last`` is inclusive.

    ``protocol`` "": the port of that name of any protocol.
    """

    protocol: str = "TCP"
    first: int | None = None
    last: int | None = None
    name: str = ""

    def __str__(self) -> str:
        if self.name or self.first is None:
            return f"{self.name or 'every port'}/{self.protocol}".removesuffix("/")
        return f"{self.first}{f'-{self.last}' if self.last != self.first else ''}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One item of ingress or egress.  No ``peers``: from or to everywhere.  No ``ports``: every protocol and port.

    A tier's rules have an ``action`` and may have a ``name``.
    """

    direction: str
    index: int
    peers: tuple[Peer, ...] = ()
    ports: tuple[PortMatch, ...] = ()
    mark: Mark | None = None
    action: str = ALLOW
    name: str = ""

    def __str__(self) -> str:
        return f"{self.direction}[{self.index}]"

    @property
    def title(self) -> str:
        """``ingress[0] "let-clients"``: with the name that a tier's rule may have, on one line."""
        return f'{self} "{" ".join(self.name.split())}"' if self.name else str(self)


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


def resolve_all(documents: tuple[Document, ...], session: Session) -> tuple[Policy, ...]:
    """Documents that were resolved before stay resolved: of ten thousand policies one changes at a time."""
    return session.of(Memo[Document, Policy], resolve).all(documents)


def _rules(document: Document, direction: str, peers: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            direction,
            index,
            tuple(_peer(peer, document.namespace) for peer in body.get(peers, ())),
            tuple(map(_port, body.get("ports", ()))),
            document.at("spec", direction, index),
        )
        for index, body in enumerate(document.body.get("spec", {}).get(direction, ()))
    )


def _peer(body: Mapping[str, Any], namespace: str) -> Peer:
    if "ipBlock" in body:
        block = body["ipBlock"]
        excepts = tuple(ip_network(cidr, strict=False) for cidr in block.get("except", ()))
        return Block(ip_network(block["cidr"], strict=False), excepts)
    own = "namespaceSelector" not in body
    namespaces = None if own else LabelSelector.of(body["namespaceSelector"])
    return PodPeer(LabelSelector.of(body.get("podSelector", {})), namespaces, namespace if own else "")


def _port(body: Mapping[str, Any]) -> PortMatch:
    port, protocol = body.get("port"), body.get("protocol", "TCP")
    if isinstance(port, str):
        return PortMatch(protocol, name=port)
    return PortMatch(protocol, port, body.get("endPort", port))
