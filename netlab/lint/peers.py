"""Peers of a policy's rules that mean nobody in this lab."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.lint.subject import Subject, rule_warning, rules_of, workload
from netlab.model.cluster.policies import Block, Peer, PodPeer, Rule
from netlab.spec import Level, Warning


def mean_nobody(subject: Subject) -> Iterator[Warning]:
    """A peer by selectors that no Pod matches.

    An error where a label was misspelt, a warning where it probably was, or where the rule has no other peer and Pods have that label with
    other values.  Else a note: a chart admits clients of other charts by labels that only those have.
    """
    for policy in subject.policies:
        for rule in rules_of(policy):
            for peer in rule.peers:
                if isinstance(peer, PodPeer) and not subject.selection.members(peer):
                    alone = not any(_means(other, subject) for other in rule.peers)
                    if reason := nobody(peer, subject, alone=alone):
                        yield rule_warning(policy, rule, *reason)


def level_of_nobody(rule: Rule, subject: Subject) -> Level | None:
    """The level at which ``mean_nobody`` complains of all peers of a rule; None where a peer means somebody."""
    if not rule.peers or any(_means(peer, subject) for peer in rule.peers):
        return None
    reasons = [nobody(peer, subject, alone=True) for peer in rule.peers if isinstance(peer, PodPeer)]
    levels: list[Level] = ["note" if reason is None else reason[2] for reason in reasons]
    return min(levels, key=("error", "note", "warning").index)


def of_services(subject: Subject) -> Iterator[Warning]:
    """An ipBlock of Service addresses: rules see the address of the Pod behind the Service."""
    cluster = subject.cluster
    others = (*cluster.pod_cidrs, *cluster.underlay.cidrs, *(cidr for node in cluster.nodes for cidr in node.pod_cidrs))
    outside = [address.ip for host in cluster.external for address in host.addresses]
    for policy in subject.policies:
        for rule in rules_of(policy):
            for peer in rule.peers:
                if not isinstance(peer, Block):
                    continue
                service = next((network for network in cluster.service_cidrs if network.overlaps(peer.cidr)), None)
                if service is None or any(other.overlaps(peer.cidr) for other in others):
                    continue
                if not any(address in peer.cidr for address in outside):
                    message = (
                        f"ipBlock {peer.cidr} matches no packet: these are Service addresses ({service}), and rules see the "
                        "addresses of the Pods behind them; select the Pods"
                    )
                    yield rule_warning(policy, rule, "peer-service-address", message, "warning")


def _means(peer: Peer, subject: Subject) -> bool:
    return not isinstance(peer, PodPeer) or bool(subject.selection.members(peer))


def nobody(peer: PodPeer, subject: Subject, *, alone: bool) -> tuple[str, str, Level] | None:
    """The code, what is wrong, and how bad that is; None where nothing is."""
    code, spaces = "peer-matches-nobody", subject.cluster.namespaces
    names = [peer.namespace]
    if peer.namespaces is not None:
        names = [name for name, labels in spaces.items() if peer.namespaces.matches(labels)]
        if not names:
            guess = subject.guess(peer.namespaces, subject.cluster.namespaces.values())
            return guess.code(code), f"no namespace matches {peer.namespaces}{guess.text}", guess.level("warning")
    hosts = [pod for pod in subject.cluster.pods if pod.namespace in names and peer.pods.matches(pod.labels)]
    if hosts:
        if hosts[0].ended:
            return None
        message = f"{peer.pods} matches {workload(hosts[0])}, which is in the network of its node (hostNetwork): rules do not select it"
        return "peer-host-network", message, "warning" if alone else "note"
    if subject.asleep(names, peer.pods.matches) or not peer.pods.requirements:
        return None
    sets = subject.labels_in(names)
    guess = subject.guess(peer.pods, sets)
    label_present = any(requirement.key in labels for requirement in peer.pods.requirements for labels in sets)
    where = f"of namespace {names[0]}" if len(names) == 1 else "of these namespaces"
    level = guess.level(subject.absence if alone and label_present else "note")
    return guess.code(code), f"no Pod {where} matches {peer.pods}{guess.text}", level
