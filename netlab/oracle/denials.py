"""Which flows a policy denies, by which rule's counter that shows, and when a denial is believed.

Silence proves nothing: a dead server, a lost route and a policy look the same.  So a flow is ``denied`` only where all
of this holds (``confirm``): the oracle says that without policies an answer would have come, that a policy denies it,
and where; no answer came; and the counter of that Pod's deny rule moved meanwhile by at least as many packets as the
unanswered flows that must have ended there sent, two each (every silent flow is asked twice), one where it was refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from netlab.model.cluster import Cluster, Node
from netlab.model.policies import EGRESS
from netlab.objects import Why
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import NODE, Endpoint, Flow, Outcome, Verdict
from netlab.oracle.policy import Evaluator, Party
from netlab.oracle.service import ServiceWays

# Data planes whose nodes send to other nodes' Pods from the tunnel's address, which is the Pod CIDR's first.
_FROM_TUNNEL = frozenset(("vxlan", "flannel-vxlan", "calico-vxlan"))


class Denial(NamedTuple):
    """Where a flow ends: at the ``direction`` of ``pod`` (namespace/name) on ``node``."""

    node: str
    pod: str
    direction: str


class Denials:
    """What the policies of a cluster deny, as if everything else worked."""

    def __init__(self, cluster: Cluster, services: ServiceWays | None = None) -> None:
        self._cluster = cluster
        self._any = bool(cluster.network_policies)
        self._evaluator = Evaluator(cluster)
        self._nodes = {node.name: node for node in cluster.nodes}
        self._hosts = {str(pod): pod.node for pod in cluster.pods if pod.host_network}
        self._parties: dict[tuple[str, bool], Party] = {}
        self._because: dict[tuple[str, str], tuple[Why, ...]] = {}
        self.services = services or ServiceWays(cluster, Endpoints(cluster))

    @property
    def evaluator(self) -> Evaluator:
        return self._evaluator

    def source(self, end: Endpoint, target: Party) -> Party | None:
        """The source as the target's node sees it; None where it has no address of that family."""
        version = 6 if ":" in target.address else 4
        node = self._nodes.get(end.name if end.kind == NODE else self._hosts.get(end.name, ""))
        if node is not None:
            return Party(_node_address(self._cluster, node, target, version), None, end.name)
        key = (end.name, version == 6)
        if key not in self._parties:
            address = next((one for one in end.addresses if (":" in one) == (version == 6)), None)
            if address is None:
                return None
            self._parties[key] = self._evaluator.party(address)
        return self._parties[key]

    def target(self, address: str) -> Party:
        """Whose an address is."""
        key = (address, ":" in address)
        found = self._parties.get(key)
        if found is None:
            found = self._parties[key] = self._evaluator.party(address)
        return found

    def denial(self, flow: Flow) -> Denial | None:
        """Where policies end a flow; None where they let it pass."""
        if not self._any or flow.src.netns == flow.dst.netns:
            return None
        if (ways := self.services.of(flow)) is not None:
            # Rules see backends and not Services; several end at one counter only where the source's egress is denied.
            ends = {self.denial(one) for one in ways.flows}
            return ends.pop() if len(ends) == 1 else None
        target = self.target(flow.address)
        source = self.source(flow.src, target)
        if source is None:
            return None
        if flow.src.kind == NODE and target.pod is not None and target.pod.node == flow.src.name:
            return None
        direction = self._evaluator.denied_by(source, target, flow.port, flow.protocol)
        if not direction:
            return None
        pod = source.pod if direction == EGRESS else target.pod
        assert pod is not None
        if source.pod is None and self._hosts.get(flow.src.name) == pod.node:
            return None
        return Denial(pod.node, str(pod), direction)

    def because(self, denial: Denial) -> tuple[Why, ...]:
        """The policies that isolate the Pod, none of whose rules allowed."""
        key = (denial.pod, denial.direction)
        found = self._because.get(key)
        if found is None:
            pod = next(one for one in self._evaluator.selection.pods if str(one) == denial.pod)
            found = self._because[key] = tuple(
                Why(
                    f"policy {policy} isolates {denial.pod} for {denial.direction}, and no rule allows this",
                    policy.mark,
                    str(policy),
                    denial.direction,
                )
                for policy in self._evaluator.isolating(pod, denial.direction)
            )
        return found


def _node_address(cluster: Cluster, node: Node, target: Party, version: int) -> str:
    """The address that a node sends from to a Pod: on another node, the tunnel's; else that of its eth0."""
    remote = target.pod is not None and target.pod.node != node.name
    if remote and cluster.dataplane in _FROM_TUNNEL:
        return next((str(cidr[0]) for cidr in node.pod_cidrs if cidr.version == version), "")
    if remote and cluster.dataplane == "weave":
        return next((str(one.ip) for one in node.gateways if one.version == version), "")
    return next((str(one.ip) for one in node.addresses if one.version == version), "")


Counts = Mapping[Denial, int]


class Evidence:
    """Counters before and after, and the flows that must have moved them."""

    def __init__(self, denials: Denials, before: Counts) -> None:
        self._denials, self._before = denials, before
        self._waiting: list[tuple[Verdict, Denial]] = []

    def held(self, verdict: Verdict) -> bool:
        """Whether the verdict must wait for the counters: it had no answer, and a policy would explain that."""
        if verdict.outcome not in (Outcome.TIMEOUT, Outcome.REFUSED, Outcome.UNREACHABLE):
            return False
        denial = self._denials.denial(verdict.flow)
        if denial is None:
            return False
        self._waiting.append((verdict, denial))
        return True

    def confirm(self, after: Counts) -> Iterator[Verdict]:
        """The verdicts that were held: denied where the counters say so, else as they were."""
        needed: Counter[Denial] = Counter()
        for verdict, denial in self._waiting:
            needed[denial] += 2 if verdict.outcome is Outcome.TIMEOUT else 1
        moved = {denial: after.get(denial, 0) - self._before.get(denial, 0) for denial in needed}
        for verdict, denial in self._waiting:
            if moved[denial] >= needed[denial]:
                yield verdict._replace(outcome=Outcome.DENIED, because=self._denials.because(denial))
            else:
                says = (
                    f"no rule counted it: {moved[denial]} packets at the deny rule of {denial.pod}, of {needed[denial]}"
                )
                yield verdict._replace(because=(*verdict.because, Why(says)))
