"""What in a policy comes to nothing in this cluster, and is perhaps not what was meant.

Legal, and often right (the client that a chart lets in is in another chart); but a selector on a label that no namespace
has is also the commonest mistake of all, and looks like a policy that denies for no reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netlab.errors import Mark
from netlab.model import Cluster, Pod
from netlab.model.policies import EGRESS, INGRESS, LabelSelector, PodPeer, Policy, Rule, Selection
from netlab.near import near
from netlab.spec import Warning


def doubts(cluster: Cluster, policies: Iterable[Policy]) -> Iterator[Warning]:
    """A policy that selects no Pod, a namespaceSelector that no namespace matches, a port's name that nobody has."""
    selection = Selection(cluster)
    known: dict[LabelSelector, bool] = {}
    for policy in policies:
        where = policy.mark or Mark("", 0)
        subjects = selection.members(policy.subject)
        if not subjects:
            says = f"NetworkPolicy {policy} selects no Pod of namespace {policy.namespace}{_why_none(policy, cluster)}"
            yield Warning("policy-selects-nothing", says, where)
        for direction in (INGRESS, EGRESS):
            for rule in policy.rules(direction) or ():
                for says in (*_peers(rule, cluster, known), *_names(rule, subjects, selection)):
                    yield Warning("policy-matches-nobody", f"NetworkPolicy {policy} {rule} {says}", rule.mark or where)


def _why_none(policy: Policy, cluster: Cluster) -> str:
    own = [pod for pod in cluster.pods if pod.namespace == policy.namespace and policy.pods.matches(pod.labels)]
    if own:  # all that policies do not know
        return f": {own[0].name} {'has ended' if own[0].ended else 'is in the network of its node (hostNetwork)'}"
    return f": none has {policy.pods}" if policy.pods.requirements else ": there is none"


def _peers(rule: Rule, cluster: Cluster, known: dict[LabelSelector, bool]) -> Iterator[str]:
    for peer in rule.peers:
        if not isinstance(peer, PodPeer) or peer.namespaces is None:
            continue
        if peer.namespaces not in known:
            known[peer.namespaces] = any(peer.namespaces.matches(labels) for labels in cluster.namespaces.values())
        if not known[peer.namespaces]:
            yield f"means nobody by {peer.namespaces}: no namespace has that{_meant(peer.namespaces, cluster)}"


def _meant(selector: LabelSelector, cluster: Cluster) -> str:
    """The value, or the key, that is near to what was written."""
    keys = {key for labels in cluster.namespaces.values() for key in labels}
    for one in selector.requirements:
        values = {labels[one.key] for labels in cluster.namespaces.values() if one.key in labels}
        if said := near(next(iter(one.values), ""), sorted(values)) if values else near(one.key, sorted(keys)):
            return said
    return ""


def _names(rule: Rule, subjects: Sequence[Pod], selection: Selection) -> Iterator[str]:
    for port in rule.ports:
        pods = subjects if rule.direction == INGRESS else selection.pods
        if not port.name or not pods or any(True for _ in selection.holders(port.name, port.protocol, pods)):
            continue
        names = {one.name for pod in pods for one in pod.ports if one.name and one.protocol == port.protocol}
        whom = "Pod that the policy selects" if rule.direction == INGRESS else "Pod"
        yield f"opens nothing by {port}: no {whom} has a port of that name{near(port.name, sorted(names))}"
