"""Flows that the set itself asks for and its policies deny: servers that a Pod's texts name, and rules of one side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from netlab.errors import Mark
from netlab.lint.mentions import Mention
from netlab.lint.subject import Subject, opens, rules_of
from netlab.model import Pod
from netlab.model.cluster.policies import EGRESS, INGRESS, PodPeer, Policy, Rule
from netlab.model.cluster.services import Service
from netlab.model.resolver import of_pod
from netlab.model.services.system import DOMAIN
from netlab.spec import Warning
from netlab.tuples import NamedTuple

_ZONE = f".svc.{DOMAIN}"
_NAMED = 3  # policies that a line names before it only counts
_PAIRS = 400  # pairs of Pods that are asked for one rule


class Target(NamedTuple):
    """A Pod that a name leads to, at a port."""

    pod: Pod
    port: int
    protocol: str


def named(subject: Subject) -> Iterator[Warning]:
    """A server that a Pod's env, args or ConfigMaps name, and that the Pod may not reach."""
    if not subject.cluster.filters:
        return
    seen = set()
    for pod in subject.distinct(subject.cluster.own_pods):
        document = subject.document_of(pod)
        if document is None or pod.ended or not subject.wanted((document.kind, document.namespace, document.name)):
            continue
        for mention in subject.mentions(pod):
            targets = targets_of(mention, pod, subject)
            denied = [target for target in targets if _sides(pod, target, subject)]
            key = (str(document), mention.server)
            if denied and len(denied) == len(targets) and key not in seen:
                seen.add(key)
                reason = " and ".join(_sides(pod, denied[0], subject))
                message = f"{document} names {mention.server} ({mention.key}) and may not reach it: {reason}"
                yield Warning("named-flow", message, mention.mark or document.mark, str(document), "note")


def targets_of(mention: Mention, pod: Pod, subject: Subject) -> list[Target]:
    """The Pods that a mention leads to, as the Pod's resolver finds them; none where it is no Service of the cluster."""
    for name in of_pod(pod).candidates(mention.server.host):
        if not name.endswith(_ZONE):
            continue
        labels = name.removesuffix(_ZONE).split(".")
        service = subject.service_of(labels[-1], labels[-2]) if len(labels) in (2, 3) else None
        if service is not None:
            return _behind(service, labels[0] if len(labels) == 3 else "", mention.server.port, subject)
    return []


def _behind(service: Service, hostname: str, port: int, subject: Subject) -> list[Target]:
    """The Pods behind a Service at its port; without a port, at each of its ports."""
    direct = service.headless or bool(hostname)  # the name leads to the Pods themselves, at their own ports
    targets = {}
    for backend in service.backends:
        pod = subject.pod(backend.pod)
        if pod is None or pod.ended or (hostname and backend.hostname != hostname):
            continue
        for entry, number in zip(service.ports, backend.ports, strict=True):
            if number and port in (0, number if direct else entry.port):
                targets[str(subject.distinct([pod])[0]), number] = Target(pod, number, entry.protocol)
    return list(targets.values())


def _sides(pod: Pod, target: Target, subject: Subject) -> list[str]:
    """The sides that deny a flow, in words; none where it passes."""
    evaluator = subject.evaluator
    own, other, flow = subject.party(pod), subject.party(target.pod), target[1:]
    sides = []
    if own.pod and own.pod is not other.pod and not evaluator.passes(EGRESS, own, other, *flow):
        tier = evaluator.denied_in_tier(EGRESS, own, other, *flow)
        policies = _policies(evaluator.isolating(pod, EGRESS))
        sides.append(f"{tier.policy} {tier.rule} denies it" if tier else f"egress of {policies} has no rule for it")
    if other.pod and own.pod is not other.pod and not evaluator.passes(INGRESS, other, own, *flow):
        tier = evaluator.denied_in_tier(INGRESS, other, own, *flow)
        policies = _policies(evaluator.isolating(target.pod, INGRESS))
        sides.append(f"{tier.policy} {tier.rule} denies it" if tier else f"ingress of {policies} does not admit it")
    return sides


def one_sided(subject: Subject) -> Iterator[Warning]:
    """A rule that opens flows which the other side denies, all of them: it has no effect."""
    for policy in subject.policies:
        own = subject.members(policy.subject)
        for rule in rules_of(policy):
            peers = [peer for peer in rule.peers if isinstance(peer, PodPeer)]
            others = list({id(pod): pod for peer in peers for pod in subject.members(peer)}.values())
            if not own or not others or len(peers) < len(rule.peers):
                continue
            side = INGRESS if rule.direction == EGRESS else EGRESS
            asked = list(islice(((pod, other) for pod in own for other in others if pod is not other), _PAIRS))
            if asked and not any(_passes(rule, pod, other, side, subject) for pod, other in asked):
                yield _one_sided(policy, rule, side, others, subject)


def _passes(rule: Rule, pod: Pod, other: Pod, side: str, subject: Subject) -> bool:
    """Whether the other side lets any port of a rule pass between a Pod of the policy and a peer; also where the rule
    has no port there.
    """
    if not subject.isolating(other, side):
        return True
    target = other if rule.direction == EGRESS else pod
    ports = _ports(rule, target, subject)
    ends = subject.party(other), subject.party(pod)
    return not ports or any(subject.evaluator.passes(side, *ends, number, protocol) for number, protocol in ports)


def _ports(rule: Rule, target: Pod, subject: Subject) -> list[tuple[int, str]]:
    """The ports that a rule opens at a Pod, of those that the Pod has; other ports are another rule's to warn of."""
    return [
        (port.port, port.protocol)
        for port in target.ports
        if opens(rule, target, port.port, port.protocol, subject.selection)
    ]


def _one_sided(policy: Policy, rule: Rule, side: str, others: Sequence[Pod], subject: Subject) -> Warning:
    policies = tuple(dict.fromkeys(each for pod in others for each in subject.isolating(pod, side)))
    ports = ", ".join(map(str, rule.ports)) or "any port"
    verb = "admits" if side == INGRESS else "opens"
    message = f"NetworkPolicy {policy} {rule}: {side} of {_policies(policies)} {verb} nothing of it ({ports})"
    return Warning("one-sided", message, rule.mark or policy.mark or Mark("", 0), f"NetworkPolicy {policy}", "note")


def _policies(policies: Sequence[Policy]) -> str:
    more = f" and {len(policies) - _NAMED} more" if len(policies) > _NAMED else ""
    return ", ".join(map(str, policies[:_NAMED])) + more
