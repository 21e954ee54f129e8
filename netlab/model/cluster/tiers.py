"""The policy API's tiers, resolved: AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy.

Per direction the Admin tier judges first, then NetworkPolicies, then the Baseline tier.  In a tier the policies go by
priority, the lower number first, and their rules in the order of the list; the first rule that matches decides.  Where
the API leaves the order open (equal priorities) it is that of the names, so that it is the same in every run.  A
BaselineAdminNetworkPolicy has no priority and comes last in its tier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from netlab.errors import Mark
from netlab.memo import Memo, Session
from netlab.model.cluster.policies import (
    ALLOW,
    EGRESS,
    INGRESS,
    Block,
    DomainNames,
    LabelSelector,
    Nodes,
    Peer,
    PodPeer,
    Policy,
    PortMatch,
    Rule,
)
from netlab.spec import Document
from netlab.tuples import NamedTuple
from netlab.values import dataclass

ADMIN, BASELINE = "Admin", "Baseline"
#: The kinds, with kubectl's short names.
KINDS = {"AdminNetworkPolicy": "anp", "BaselineAdminNetworkPolicy": "banp", "ClusterNetworkPolicy": "cnp"}
LAST = 1001  # the place of a policy without a priority: behind every priority that can be given


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """A policy of the Admin or the Baseline tier.  ``subject`` are the Pods that it judges."""

    kind: str
    name: str
    tier: str
    priority: int
    subject: PodPeer
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    mark: Mark | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def short(self) -> str:
        """``anp/deny-all``: the name that kubectl takes."""
        return f"{KINDS[self.kind]}/{self.name}"

    def action(self, rule: Rule) -> str:
        """A rule's action in the words of the policy's kind."""
        return "Accept" if rule.action == ALLOW and self.kind == "ClusterNetworkPolicy" else rule.action

    def rules(self, direction: str) -> tuple[Rule, ...]:
        """The rules of a direction."""
        return self.ingress if direction == INGRESS else self.egress


class Judges(NamedTuple):
    """Everything that judges a Pod in a direction, in the order in which it is asked.

    ``policies`` are the NetworkPolicies that isolate the Pod: where there are any, ``baseline`` is not asked.
    """

    admin: tuple[TierPolicy, ...] = ()
    policies: tuple[Policy, ...] = ()
    baseline: tuple[TierPolicy, ...] = ()


NO_JUDGES = Judges()


def resolve_all(documents: tuple[Document, ...], session: Session) -> tuple[TierPolicy, ...]:
    """The policies of documents of these kinds, which the reader has checked, in the order in which they are asked.

    Documents that were resolved before stay resolved.
    """
    policies = session.of(Memo[Document, TierPolicy], _policy).all(documents)
    return tuple(sorted(policies, key=lambda policy: (policy.tier, policy.priority, policy.name, policy.kind)))


def _policy(document: Document) -> TierPolicy:
    spec = document.body["spec"]
    tier = BASELINE if document.kind == "BaselineAdminNetworkPolicy" else spec.get("tier", ADMIN)
    return TierPolicy(
        document.kind,
        document.name,
        tier,
        spec.get("priority", LAST),
        _pods(spec["subject"]),
        _rules(document, INGRESS, "from"),
        _rules(document, EGRESS, "to"),
        document.at("metadata", "name"),
    )


def _rules(document: Document, direction: str, peers: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            direction,
            index,
            tuple(peer for each in body[peers] for peer in _peers(each)),
            tuple(_port(port) for port in (*body.get("ports", ()), *body.get("protocols", ()))),
            document.at("spec", direction, index),
            ALLOW if body["action"] == "Accept" else body["action"],
            body.get("name", ""),
        )
        for index, body in enumerate(document.body["spec"].get(direction, ()))
    )


def _pods(body: Mapping[str, Any]) -> PodPeer:
    """Pods of namespaces, or of namespaces and by their own labels."""
    if "namespaces" in body:
        return PodPeer(LabelSelector(), LabelSelector.of(body["namespaces"]))
    pods = body["pods"]
    return PodPeer(LabelSelector.of(pods["podSelector"]), LabelSelector.of(pods.get("namespaceSelector", {})))


def _peers(body: Mapping[str, Any]) -> Iterator[Peer]:
    if "nodes" in body:
        yield Nodes(LabelSelector.of(body["nodes"]))
    elif "networks" in body:
        yield from (Block(ip_network(cidr, strict=False)) for cidr in body["networks"])
    elif "domainNames" in body:
        yield DomainNames(tuple(body["domainNames"]))
    else:
        yield _pods(body)


def _port(body: Mapping[str, Any]) -> PortMatch:
    """A port as any of the three kinds writes it; a name is that of any protocol."""
    if name := body.get("namedPort") or body.get("destinationNamedPort"):
        return PortMatch("", name=name)
    if "portNumber" in body:
        number = body["portNumber"]
        return PortMatch(number.get("protocol", "TCP"), number["port"], number["port"])
    if "portRange" in body:
        span = body["portRange"]
        return PortMatch(span.get("protocol", "TCP"), span["start"], span["end"])
    word, transport = next(iter(body.items()))
    port = transport.get("destinationPort", {})
    span = port.get("range") or {"start": port.get("number"), "end": port.get("number")}
    return PortMatch(word.upper(), span["start"], span["end"])
