"""Flows that a policy denies, the rule whose counter shows it, and the evidence that a denial needs.

Silence proves nothing: a dead server, a lost route and a policy look the same.  So a flow is ``denied`` only where all
of this holds (``confirm``): the oracle says that without policies an answer would have come, that a policy denies it,
and where; no answer came; and the counter of that Pod's deny rule moved meanwhile by at least as many packets as the
unanswered flows that must have ended there sent, two each (every silent flow is asked twice), one where it was refused.

Where netlab enforces no policies (``spec.policy.enforce: none``) there is no such counter: no answer is a denial where a
policy explains it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from netlab.model.cluster import Cluster, Node, Pod
from netlab.model.cluster.policies import DENY, EGRESS, INGRESS
from netlab.objects import Why
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import NODE, POD, Endpoint, Flow, Outcome, Verdict, is_own
from netlab.oracle.policy import HOST_NETWORK, IS_NODE, Evaluator, Party, Side, TierRule
from netlab.oracle.service import ServiceIndex
from netlab.planes import Speaks
from netlab.tuples import NamedTuple

#: Outcomes that a policy may be the cause of.
SILENCED = (Outcome.TIMEOUT, Outcome.REFUSED, Outcome.UNREACHABLE)


class Denial(NamedTuple):
    """Where a flow ends, as the counter of a rule on ``node`` shows it: at the deny rule of ``pod`` (namespace/name) in a
    ``direction``, or, of no Pod, at the rule of a tier (``anp/deny-all ingress[0]``), which all of its subjects share.
    """

    node: str
    pod: str
    direction: str
    rule: str = ""

    @property
    def place(self) -> str:
        """The rule in words."""
        return self.rule or f"the deny rule of {self.pod}"


class Step(NamedTuple):
    """A packet as rules see it: by the source's node (``egress``) and by the target's (``ingress``), each (source,
    target, port); the two differ where it is translated on the way.

    ``flow`` is what arrives.  ``hairpin``: the packet was translated on the source's own node, so that one of a Pod to
    itself leaves the Pod.
    """

    flow: Flow
    egress: tuple[Party, Party, int]
    ingress: tuple[Party, Party, int]
    hairpin: bool = False


class Denials:
    """The flows that the policies of a cluster deny, if everything else works."""

    def __init__(
        self, cluster: Cluster, endpoints: Endpoints | None = None, services: ServiceIndex | None = None
    ) -> None:
        self._cluster = cluster
        self._any = cluster.filters
        #: Whether a rule of netlab's counts what policies deny.
        self.counted = cluster.enforced
        self._evaluator = Evaluator(cluster)
        self._nodes = {node.name: node for node in cluster.nodes}
        self._hosts = {str(pod): pod.node for pod in cluster.pods if pod.host_network}
        self._parties: dict[tuple[str, bool], Party] = {}
        self._because: dict[Denial, tuple[Why, ...]] = {}
        self._tier_rules: dict[str, TierRule] = {}
        self._endpoints = endpoints or Endpoints(cluster)
        self.services = services or ServiceIndex(cluster, self._endpoints)

    @property
    def evaluator(self) -> Evaluator:
        return self._evaluator

    @property
    def silenced(self) -> tuple[Outcome, ...]:
        """The outcomes that a deny rule of this cluster can be the cause of: a rule that drops sends no refusal."""
        return SILENCED if self._cluster.deny == "reject" else (Outcome.TIMEOUT,)

    def _source(self, end: Endpoint, target: Party, *, near: bool = False) -> Party | None:
        """The source as the target's node sees it; None where it has no address of that family.

        ``near``: a node comes with the address of its eth0, since it asked for a node's address and not for a Pod's.
        """
        version = 6 if ":" in target.address else 4
        node = self._nodes.get(end.name if end.kind == NODE else self._hosts.get(end.name, ""))
        if node is not None:
            reason = IS_NODE if end.kind == NODE else HOST_NETWORK
            return Party(_node_address(self._cluster, node, None if near else target, version), None, end.name, reason)
        key = (end.name, version == 6)
        if key not in self._parties:
            address = next((address for address in end.addresses if (":" in address) == (version == 6)), None)
            if address is None:
                return None
            self._parties[key] = self._evaluator.party(address)
        return self._parties[key]

    def _target(self, address: str) -> Party:
        """The owner of an address."""
        key = (address, ":" in address)
        party = self._parties.get(key)
        if party is None:
            party = self._parties[key] = self._evaluator.party(address)
        return party

    def _end(self, flow: Flow) -> Party:
        """Whom a flow comes to: a Pod of its node's network by its own name, which its address does not tell."""
        if flow.dst.kind == POD and flow.dst.name in self._hosts:
            return Party(flow.address, None, flow.dst.name, HOST_NETWORK)
        return self._target(flow.address)

    # -- a packet's way through the rules -----------------------------------------------------------------------------

    def steps(self, flow: Flow) -> tuple[Step, ...]:
        """The paths that a flow may take, one a backend of a Service; none where it comes to no end that rules see.

        Where another node than the source's ends it, the way there.
        """
        if (paths := self.services.of(flow)) is not None:
            steps = [self._translated(flow, onward, far=paths.far) for onward in paths.flows]
            if not steps and paths.far:  # the source's node lets it out, or not
                steps = [self._plain(flow)]
        elif (behind := self._endpoints.behind(flow)) is not None:
            own, owner = self.node_of(flow.src), self._endpoints.owner(flow)
            far = bool(own) and own != self._endpoints.node_of(owner)
            # What goes to a node's address in the Pods' networks does not leave them.
            inner = flow.address not in owner.addresses
            if far and (flow.src.kind == NODE or (self._cluster.masquerades and not inner)):
                behind = behind._replace(src=self._endpoints.nodes[own])
            steps = [self._translated(flow, behind, far=far, inner=inner)]
        else:
            steps = [self._plain(flow)]
        return tuple(step for step in steps if step)

    def _plain(self, flow: Flow) -> Step | None:
        target = self._end(flow)
        source = self._source(flow.src, target)
        if source is None:
            return None
        side = (source, source if is_own(flow.address) else target, flow.port)
        return Step(flow, side, side)

    def _translated(self, asked: Flow, arrives: Flow, *, far: bool, inner: bool = False) -> Step | None:
        """``far``: on another node than the source's, whose rules see what was asked; ``inner``: by an address of that
        node in the Pods' networks.
        """
        target = self._end(arrives)
        first = self._target(asked.address) if far else target
        source = self._source(asked.src, first)
        near = far and not inner and self.node_of(arrives.src) == self.node_of(asked.src)
        seen = self._source(arrives.src, target, near=near)
        if source is None or seen is None:
            return None
        ports = (asked.port if far else arrives.port, arrives.port)
        return Step(arrives, (source, first, ports[0]), (seen, target, ports[1]), hairpin=not far)

    def node_of(self, end: Endpoint) -> str:
        """The node that a source is on; "" for hosts outside."""
        if end.kind == NODE:
            return end.name
        pod = self._endpoints.pod_of.get(end.name)
        return pod.node if pod else ""

    # -- denials ------------------------------------------------------------------------------------------------------

    def denial(self, flow: Flow) -> Denial | None:
        """The denial of a flow that no Service translates; None if policies let it pass."""
        if not self._any:
            return None
        if flow.dst.kind != POD or flow.dst.name in self._hosts:
            ends = {self.ending(step) for step in self.steps(flow)}
            return ends.pop() if len(ends) == 1 else None
        step = self._plain(flow)  # nobody translates what goes to a Pod's own address
        return self.ending(step) if step else None

    def ending(self, step: Step) -> Denial | None:
        """The denial of a packet on its path."""
        if step.flow.src.netns == step.flow.dst.netns and not step.hairpin:
            return None
        protocol, hairpin = step.flow.protocol, step.hairpin
        source, to, port = step.egress
        if source.pod is not None and not self._evaluator.passes(EGRESS, source, to, port, protocol, hairpin=hairpin):
            return self._denial(source.pod, EGRESS, source, to, port, step)
        source, to, port = step.ingress
        if to.pod is None or self._own(step.flow.src, to.pod):
            return None
        if not self._evaluator.passes(INGRESS, to, source, port, protocol, hairpin=hairpin):
            return self._denial(to.pod, INGRESS, to, source, port, step)
        return None

    def _denial(self, pod: Pod, direction: str, own: Party, other: Party, port: int, step: Step) -> Denial:
        """The denial of a packet that does not pass."""
        denial = self._evaluator.denied_in_tier(direction, own, other, port, step.flow.protocol, hairpin=step.hairpin)
        if denial is None:
            return Denial(pod.node, str(pod), direction)
        rule = f"{denial.policy.short} {denial.rule}"
        self._tier_rules[rule] = denial
        return Denial(pod.node, "", direction, rule)

    def all(self) -> Iterator[Denial]:
        """Every rule at which a flow of this cluster may end."""
        denials: dict[Denial, None] = {}
        for pod in self._evaluator.selection.pods:
            for direction in (EGRESS, INGRESS):
                judges = self._evaluator.judges(pod, direction)
                if judges.policies:
                    denials[Denial(pod.node, str(pod), direction)] = None
                for policy in (*judges.admin, *judges.baseline):
                    for rule in policy.rules(direction):
                        if rule.action == DENY:
                            denials[Denial(pod.node, "", direction, f"{policy.short} {rule}")] = None
        yield from denials

    def _own(self, source: Endpoint, pod: Pod) -> bool:
        """Whether the source is the Pod's own node, or acts from its namespace."""
        return pod.node == (source.name if source.kind == NODE else self._hosts.get(source.name))

    def sides(self, step: Step) -> tuple[Side, ...]:
        """Both directions with their reasons: the source's egress, then the target's ingress."""
        judge, protocol = self._evaluator.side, step.flow.protocol
        source, to, port = step.egress
        seen, target, at = step.ingress
        return (
            judge(EGRESS, source, to, port, protocol, hairpin=step.hairpin),
            judge(INGRESS, target, seen, at, protocol, hairpin=step.hairpin),
        )

    def because(self, denial: Denial) -> tuple[Why, ...]:
        """The rule that denies, or the NetworkPolicies that isolate the Pod, none of whose rules allowed."""
        because = self._because.get(denial)
        if because is None:
            because = self._because[denial] = tuple(self._reasons(denial))
        return because

    def _reasons(self, denial: Denial) -> Iterator[Why]:
        if denial.rule:
            policy, rule = self._tier_rules[denial.rule]
            yield Why(f"{policy} {rule} denies this", rule.mark, str(policy), str(rule))
            return
        pod = next(pod for pod in self._evaluator.selection.pods if str(pod) == denial.pod)
        for isolating in self._evaluator.isolating(pod, denial.direction):
            message = f"policy {isolating} isolates {denial.pod} for {denial.direction}, and no rule allows this"
            yield Why(message, isolating.mark, str(isolating), denial.direction)


def _node_address(cluster: Cluster, node: Node, target: Party | None, version: int) -> str:
    """The address that a node sends from to a Pod: on another node, as its data plane has it; else that of its eth0."""
    remote = target is not None and target.pod is not None and target.pod.node != node.name
    if remote and cluster.plane.speaks is Speaks.TUNNEL:
        return next((str(cidr[0]) for cidr in node.pod_cidrs if cidr.version == version), "")
    if remote and cluster.plane.speaks is Speaks.BRIDGE:
        return next((str(gateway.ip) for gateway in node.gateways if gateway.version == version), "")
    return next((str(address.ip) for address in node.addresses if address.version == version), "")


Counts = Mapping[Denial, int]


class Evidence:
    """Counters before and after, and the attempts that must have moved them.

    An attempt through a Service with several backends may have ended at any of their rules: of these, the sum of the
    counters must account for all such attempts, after each counter has accounted for what can only have ended there.
    """

    def __init__(
        self, denials: Denials, before: Counts, where: Callable[[Flow], Iterable[Denial | None]] | None = None
    ) -> None:
        """``where`` says where a flow ends; ``Predictor.endings`` also knows which flows come so far."""
        self._denials, self._before = denials, before
        self._counted = denials.counted
        self._where = where or (lambda flow: (denials.denial(flow),))
        self._waiting: list[tuple[Verdict, frozenset[Denial]]] = []
        self._ends: dict[Flow, frozenset[Denial]] = {}  # a Service's flow is asked many times

    def held(self, verdict: Verdict) -> bool:
        """Whether the verdict must wait for the counters: it had no answer, and a policy would explain that."""
        if verdict.outcome not in self._denials.silenced:
            return False
        ends = self._ends.get(verdict.flow)
        if ends is None:
            ends = self._ends[verdict.flow] = frozenset(end for end in self._where(verdict.flow) if end)
        if ends:
            self._waiting.append((verdict, ends))
        return bool(ends)

    def confirm(
        self, after: Counts, once: Container[Flow] = (), repeated: Mapping[frozenset[Denial], int] | None = None
    ) -> Iterator[Verdict]:
        """The verdicts that were held: denied where the counters say so, else as they were.

        A silence was asked twice, and so counted twice, but for the flows that were asked ``once`` a verdict.  What the
        kernel has ``repeated`` by itself was counted too.
        """
        due = Counter(repeated or {})
        for verdict, ends in self._waiting:
            due[ends] += 2 if verdict.outcome is Outcome.TIMEOUT and verdict.flow not in once else 1
        alone = Counter({end: packets for ends, packets in due.items() if len(ends) == 1 for end in ends})
        together = Counter({ends: packets for ends, packets in due.items() if len(ends) > 1})
        moved = {end: after.get(end, 0) - self._before.get(end, 0) for ends in due for end in ends}
        surplus = {end: max(0, count - alone[end]) for end, count in moved.items()}
        short = {frozenset((end,)) for end, needed in alone.items() if moved[end] < needed}
        for group in connected(together):
            shared = frozenset().union(*group)
            if sum(surplus[end] for end in shared) < sum(together[ends] for ends in group):
                short |= group
        for verdict, ends in self._waiting:
            if ends not in short or not self._counted:
                because = dict.fromkeys(why for end in sorted(ends) for why in self._denials.because(end))
                yield verdict._replace(outcome=Outcome.DENIED, because=tuple(because))
            else:
                where = " and ".join(sorted({end.place for end in ends}))
                needed = sum(alone[end] for end in ends) + together[ends]
                counted = sum(moved[end] for end in ends)
                message = f"no rule counted it: {counted} packets at {where}, of {needed}"
                yield verdict._replace(because=(*verdict.because, Why(message)))


def connected(sets: Iterable[frozenset[Denial]]) -> list[set[frozenset[Denial]]]:
    """Sets of counters in groups: those that share a counter, directly or by others, are in one."""
    groups: list[set[frozenset[Denial]]] = []
    for ends in sets:
        near = [group for group in groups if any(ends & other for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append({ends}.union(*near))
    return groups
