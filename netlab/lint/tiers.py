"""Policies of the Admin and Baseline tiers that mean nothing here, or of which the API leaves the order open."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, groupby

from netlab.lint.peers import nobody
from netlab.lint.subject import Subject, rule_warning
from netlab.model.cluster.policies import EGRESS, INGRESS, PROTOCOLS, DomainNames, PodPeer, Rule
from netlab.model.cluster.tiers import LAST, TierPolicy
from netlab.near import near
from netlab.spec import Level, Warning


def mean_nobody(subject: Subject) -> Iterator[Warning]:
    """A subject or a peer that no Pod matches: a note, since the set may be one chart of many, but for a misspelt label."""
    for policy in _wanted(subject):
        if warning := _of_nobody(policy.subject, subject):
            code, message, level = warning
            code = "policy-selects-nothing" if code == "peer-matches-nobody" else code
            yield rule_warning(policy, None, code, f"selects no Pod: {message}", level)
        for rule in _rules(policy):
            for peer in rule.peers:
                if isinstance(peer, PodPeer) and (warning := _of_nobody(peer, subject)):
                    yield rule_warning(policy, rule, *warning)


def _of_nobody(peer: PodPeer, subject: Subject) -> tuple[str, str, Level] | None:
    warning = nobody(peer, subject, alone=False) if not subject.selection.members(peer) else None
    return warning and (*warning[:2], "note" if warning[2] == "warning" else warning[2])


def unknown_port(subject: Subject) -> Iterator[Warning]:
    """A port's name that no Pod in question has."""
    selection = subject.selection
    for policy in _wanted(subject):
        for rule in _rules(policy):
            peers = [policy.subject] if rule.direction == INGRESS else rule.peers
            pods = [pod for peer in peers if isinstance(peer, PodPeer) for pod in selection.members(peer)]
            for port in rule.ports:
                named = (selection.named_port(pod, port.name, protocol) for pod in pods for protocol in PROTOCOLS)
                if port.name and pods and not any(named):
                    hint = near(port.name, sorted({entry.name for pod in pods for entry in pod.ports if entry.name}))
                    yield rule_warning(
                        policy, rule, "port-name-unknown", f"no Pod in question has a port {port}{hint}", "error"
                    )


def domain_names(subject: Subject) -> Iterator[Warning]:
    """A peer by domain names, which no rule of nftables can match."""
    for policy in _wanted(subject):
        for rule in _rules(policy):
            for peer in rule.peers:
                if isinstance(peer, DomainNames):
                    message = f"domain names are not modelled: {peer} matches nothing in this lab"
                    yield rule_warning(policy, rule, "domain-names", message, "warning")


def equal_priority(subject: Subject) -> Iterator[Warning]:
    """Two policies of one tier and priority that judge the same Pod in the same direction."""
    for (tier, priority), group in groupby(subject.cluster.tiers, key=lambda policy: (policy.tier, policy.priority)):
        for first, second in combinations(group, 2):
            if priority < LAST and _named(second, subject) and _overlap(first, second, subject):
                message = (
                    f"{first} has the same priority, {priority}, in the {tier} tier and judges the same Pods: a cluster "
                    f"may ask either first, this lab asks {first.name} first"
                )
                yield rule_warning(second, None, "tier-order", message, "warning")


def _overlap(first: TierPolicy, second: TierPolicy, subject: Subject) -> bool:
    both = any(first.rules(direction) and second.rules(direction) for direction in (INGRESS, EGRESS))
    members = set(map(str, subject.selection.members(first.subject)))
    return both and any(str(pod) in members for pod in subject.selection.members(second.subject))


def _wanted(subject: Subject) -> Iterator[TierPolicy]:
    return (policy for policy in subject.cluster.tiers if _named(policy, subject))


def _named(policy: TierPolicy, subject: Subject) -> bool:
    return subject.wanted((policy.kind, "", policy.name))


def _rules(policy: TierPolicy) -> Iterator[Rule]:
    yield from (*policy.ingress, *policy.egress)
