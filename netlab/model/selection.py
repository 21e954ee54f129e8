"""The Pods that the selectors of policies mean.

Each selector is compiled once and asked once, over an index from labels to Pods, however many policies use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from netlab.memo import Latest, Session
from netlab.model.cluster import Cluster, Node, Pod
from netlab.model.cluster.policies import EGRESS, INGRESS, NAME_LABEL, LabelSelector, Nodes, PodPeer, Policy
from netlab.model.cluster.tiers import ADMIN, BASELINE, NO_JUDGES, Judges, TierPolicy
from netlab.model.workloads.bylabel import ByLabel


class _Index:
    """The policies of a lab, which know what selects a Pod for as long as both stay."""

    _KEPT = 100_000  # Pods, a few times what one lab has

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self._by_label = ByLabel(policies, lambda policy: policy.pods.exact())
        self._by_pod: dict[int, tuple[Pod, Mapping[str, tuple[Policy, ...]]]] = {}

    def selecting(self, pod: Pod) -> Mapping[str, tuple[Policy, ...]]:
        """By direction, those that isolate the Pod, in document order."""
        kept = self._by_pod.get(id(pod))
        if kept is None or kept[0] is not pod:
            if len(self._by_pod) > self._KEPT:
                self._by_pod.clear()
            self._by_pod[id(pod)] = kept = pod, self._policies(pod)
        return kept[1]

    def _policies(self, pod: Pod) -> Mapping[str, tuple[Policy, ...]]:
        chosen = [policy for policy in self._by_label.of(pod.namespace, pod.labels) if policy.pods.matches(pod.labels)]
        return {
            INGRESS: tuple(policy for policy in chosen if policy.ingress is not None),
            EGRESS: tuple(policy for policy in chosen if policy.egress is not None),
        }


class Selection:
    """Who is selected in a cluster, each selector asked once.

    Pods of the host's network are never selected: their address is the node's.  Nor are those that have ended: in a
    cluster their address may be another's by now.
    """

    def __init__(self, cluster: Cluster, session: Session | None = None) -> None:
        self._index = (session or Session()).of(Latest[tuple[Policy, ...], _Index], _Index)
        self._cluster = cluster
        self.pods = tuple(pod for pod in cluster.pods if not pod.host_network and not pod.ended)
        self.policies, self.tiers = cluster.network_policies, cluster.tiers
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
        members = self._members.get(peer)
        if members is None:
            if peer.namespaces is None:
                members = tuple(self._in(peer.namespace, peer.pods))
            else:
                names = [name for name in self._of_namespace if peer.namespaces.matches(self.labels(name))]
                pods = [pod for name in names for pod in self._in(name, peer.pods)]
                members = tuple(sorted(pods, key=lambda pod: self._number[str(pod)]) if len(names) > 1 else pods)
            self._members[peer] = members
        return members

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
        return self._index(self.policies).selecting(pod)[direction]

    def judges(self, pod: Pod, direction: str) -> Judges:
        """Everything that judges a Pod in a direction: the tiers' policies, and the NetworkPolicies that isolate it."""
        policies = self.selecting(pod, direction)
        if not self.tiers:
            return Judges(policies=policies) if policies else NO_JUDGES
        admin, baseline = (self._of_tiers.get((str(pod), direction, tier), ()) for tier in (ADMIN, BASELINE))
        return Judges(admin, policies, baseline) if admin or policies or baseline else NO_JUDGES

    @cached_property
    def _of_tiers(self) -> dict[tuple[str, str, str], tuple[TierPolicy, ...]]:
        """The policies of a tier that have rules in a direction, by Pod, direction and tier."""
        by_pod: dict[tuple[str, str, str], tuple[TierPolicy, ...]] = {}
        for policy in self.tiers:
            for direction in (INGRESS, EGRESS):
                for pod in self.members(policy.subject) if policy.rules(direction) else ():
                    key = str(pod), direction, policy.tier
                    by_pod[key] = (*by_pod.get(key, ()), policy)
        return by_pod

    def nodes(self, peer: Nodes) -> tuple[Node, ...]:
        """The nodes that a peer means."""
        return tuple(node for node in self._cluster.nodes if peer.selector.matches(node.labels))

    def named_port(self, pod: Pod, name: str, protocol: str) -> int | None:
        """The number that a Pod's containers give a port's name in a protocol."""
        key = (str(pod), name, protocol)
        if key not in self._ports:
            numbers = (port.port for port in pod.ports if port.name == name and port.protocol == protocol)
            self._ports[key] = next(numbers, None)
        return self._ports[key]

    def holders(self, name: str, protocol: str, pods: Iterable[Pod]) -> Iterator[tuple[Pod, int]]:
        """The Pods that have a port of that name, with its number."""
        for pod in pods:
            number = self.named_port(pod, name, protocol)
            if number is not None:
                yield pod, number
