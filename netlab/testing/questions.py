"""Which flows a test asks: everybody to every port that the manifests' Pods serve, and their Pods to everything else.

Of strangers three kinds are asked: in the target's namespace, in a namespace of its own, and in each namespace that a
namespaceSelector of a policy chooses.  A rule for a whole namespace shows by the last kind alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Pod
from netlab.model.cluster.policies import EGRESS, INGRESS, PodPeer, Policy
from netlab.model.cluster.tiers import TierPolicy
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import EXTERNAL, POD, SERVICE, Endpoint, Flow
from netlab.testing.ground import INTERNET, METADATA
from netlab.testing.standins import API_SERVER, STRANGER, role


class Questions:
    """The flows of a cluster.  ``cluster`` has the ports that only policies and expectations name; ``declared`` has not."""

    def __init__(self, cluster: Cluster, declared: Cluster) -> None:
        self.cluster = cluster
        self._system = [pod for pod in cluster.pods if pod.system]
        self.endpoints = Endpoints(cluster)
        self._declared = Endpoints(declared)
        self._own = [pod for pod in cluster.own_pods if not role(pod)]
        self._others = [pod for pod in cluster.own_pods if role(pod)]
        self.home = {pod.namespace for pod in self._own}
        self._chosen = set(_chosen(cluster))

    def all(self) -> Iterator[Flow]:
        """Every flow that a test without expectations asks."""
        hosts = list(self.endpoints.external.values())
        own, others = self._ends(self._own), self._ends(self._others)
        subjects = [self.endpoints.pods[str(pod)] for pod in self._others if role(pod) == "subject"]
        services = self._services()
        targets = [*own, *subjects]
        for source in (*own, *others, *hosts):
            for target in (*targets, *services):
                if self._tells(source, target):
                    yield from self._between(source, target, self.endpoints)
        answering = [end for end in others if end not in subjects]
        system = self._ends(self._system)
        for source in (*own, *subjects):
            for target in (*answering, *hosts, *system):
                yield from self._between(source, target, self.endpoints)

    def scope(self) -> Iterator[Flow]:
        """The flows that a ``default`` speaks of: of workloads and the internet, to what workloads and Services serve."""
        own = self._ends(self._own)
        hosts = [end for name, end in self.endpoints.external.items() if name == INTERNET]
        for source in (*own, *hosts):
            for target in (*own, *self._services()):
                yield from self._between(source, target, self._declared)

    def _ends(self, pods: Iterable[Pod]) -> list[Endpoint]:
        return [self.endpoints.pods[str(pod)] for pod in pods]

    def _services(self) -> list[Endpoint]:
        return [end for name, end in self.endpoints.services.items()
                if end.addresses and not self.endpoints.service_of[name].system]  # fmt: skip

    def _tells(self, source: Endpoint, target: Endpoint) -> bool:
        """Whether it is no stranger of another namespace that has Pods of its own and that no rule chooses."""
        pod = self.endpoints.pod_of.get(source.name) if source.kind == POD else None
        if source.kind == EXTERNAL and source.name != INTERNET and (target.kind == SERVICE or source.name == METADATA):
            return False
        if pod is None or role(pod) != STRANGER:
            return not (pod is not None and role(pod) == API_SERVER and target.kind == SERVICE)
        space = target.name.partition("/")[0]
        return pod.namespace == space or pod.namespace not in self.home or pod.namespace in self._chosen

    @staticmethod
    def _between(source: Endpoint, target: Endpoint, endpoints: Endpoints) -> Iterator[Flow]:
        families = {":" in address for address in source.addresses}
        if source.netns == target.netns:
            return
        for address in target.addresses:
            if (":" in address) in families:
                for port, protocol in endpoints.ports(target):
                    yield Flow.to(source, target, address, port, protocol)


def _chosen(cluster: Cluster) -> Iterator[str]:
    """The namespaces that a rule's namespaceSelector chooses; one that chooses all needs none of them."""
    policies: tuple[Policy | TierPolicy, ...] = (*cluster.network_policies, *cluster.tiers)
    for policy in policies:
        for direction in (INGRESS, EGRESS):
            for rule in policy.rules(direction) or ():
                for peer in rule.peers:
                    selector = peer.namespaces if isinstance(peer, PodPeer) else None
                    if selector is not None and selector.requirements:
                        yield from (name for name, labels in cluster.namespaces.items() if selector.matches(labels))
