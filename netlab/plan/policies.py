"""Policies as nftables: ``table inet netlab-policy`` on each node that has a Pod which a policy judges (with
``established: drop``, on each).

Theory of operation.  The forward hook sees what enters, leaves or crosses the node's Pods, after Services are
translated and before sources are (policies are about Pods, not about ClusterIPs).  Two base chains follow each other
there: first the egress of Pods of this node, then the ingress; a packet that the first accepts meets the second.  Each
finds the Pod's chain by one look-up in a verdict map, so a packet visits the rules of policies that select its Pod, and
no others, however many there are.  A Pod's chain jumps to its policies, whose rules accept, and drops the rest.

Before them it jumps to the Admin tier, and where no NetworkPolicy isolates the Pod after it to the Baseline tier.  A
tier is one chain with all rules of the policies that select the Pod, in their order.  The reason is that a rule that
passes a packet on must leave the whole tier, and ``return`` leaves a chain.  Pods that the same policies select share
it.

Dispatch is by address and never by interface: between Pods of one bridge, br_netfilter shows rules the bridge as both.

What a node itself sends (kubelet's probes) leaves by the output hook, where nothing is judged; what Pods send to their
own node arrives at its input hook, where their egress is.

Replies belong to their connection and pass; so does IPv6 neighbour discovery, without which isolation would take the
address away.  With ``established: drop`` each packet is judged by the ends of its connection instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from netlab import names
from netlab.memo import Session
from netlab.model import Cluster, Node, Pod
from netlab.model.cluster.policies import EGRESS, INGRESS, Block, Nodes, PodPeer, Policy, PortMatch, Rule
from netlab.model.cluster.tiers import NO_JUDGES, Judges, TierPolicy
from netlab.model.selection import Selection
from netlab.objects import NftChain, NftSet, NftTable, Obj, State, Why
from netlab.plan import policytext as text
from netlab.plan.policyrules import Need, Writer, Written, by_protocol, rule_why
from netlab.plan.policytext import FAMILY, TABLE, Words
from netlab.tuples import NamedTuple

# Neighbour discovery (RFC 4861: 133-137) and multicast listeners (RFC 2710, 3810), which switches snoop.
_DISCOVERY = "icmpv6 type { 130-137, 143 } accept"
_REFUSALS = ("meta l4proto tcp counter reject with tcp reset", "counter reject with icmpx admin-prohibited")
_MOST = 100_000  # a few times what one lab has
_TYPES = {4: "ipv4_addr", 6: "ipv6_addr"}
# Of two base chains of one hook the lower number comes first: kube-proxy's at filter refuses what no Service has, which
# is nobody's packet to judge; then egress, then ingress.  Of equal numbers the one that was made first would come first.
_HOOKS = (
    ("egress", EGRESS, "type filter hook forward priority filter + 1; policy accept;"),
    ("ingress", INGRESS, "type filter hook forward priority filter + 2; policy accept;"),
    ("to-node", EGRESS, "type filter hook input priority filter + 1; policy accept;"),
)
# With ``established: drop``, whether a policy is there or not: the client of a connection is known from its first packet,
# and of one that is first seen in the middle it is whoever happens to speak next.
_TRACKED = 'ct state related accept comment "connections are known from their first packet"'


def tables(cluster: Cluster, session: Session) -> Iterator[State]:
    """The table of each node."""
    selection = Selection(cluster, session)
    versions = tuple(4 if family == "IPv4" else 6 for family in cluster.families)
    tracked = cluster.established == "drop"
    if session.of(_Kept, versions, tracked, cluster.deny).is_much():
        session.forget(_Kept)
    shared = _Shared(selection, session.of(_Kept, versions, tracked, cluster.deny))
    for node in cluster.nodes:
        yield _Table(node, cluster, shared).state()


class _KeptTable(NamedTuple):
    """A node's table with what it was made from; ``needs`` are its sets of peers' Pods, which were ``pods``."""

    made_from: tuple[object, ...]
    needs: Mapping[PodPeer | Nodes, Sequence[Need]]
    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    state: State


class _Kept:
    """What was made for labs of some families, one way to name a packet's ends and one to deny, kept from one to the next."""

    def __init__(self, versions: tuple[int, ...], tracked: bool, deny: str) -> None:
        self.writer = Writer(versions, tracked=tracked, deny=deny)
        self.chains: dict[tuple[str, int, int], tuple[Written, NftChain]] = {}
        self.sets: dict[tuple[str, str], NftSet] = {}
        self.tables: dict[str, _KeptTable] = {}

    def is_much(self) -> bool:
        """Whether that is more than a few labs' worth."""
        return max(len(self.chains), len(self.sets), len(self.writer.peers)) > _MOST


class _Shared:
    """Results for labs of some families, one way to name a packet's ends and one to deny; kept from build to build."""

    def __init__(self, selection: Selection, kept: _Kept) -> None:
        self.selection, self.kept, self.writer, self.versions = selection, kept, kept.writer, kept.writer.versions
        self.written = kept.writer.by_id(selection.policies)
        self.tiers = dict(zip(map(id, selection.tiers), kept.writer.tiers(selection.tiers), strict=True))
        self._addresses: dict[tuple[PodPeer | Nodes, int], frozenset[str]] = {}
        self._moved: dict[int, frozenset[PodPeer]] = {}

    def moved(self, kept: _KeptTable, namespaces: Mapping[str, Mapping[str, str]]) -> Collection[PodPeer | Nodes]:
        """The peers whose Pods may be others than when a table was made."""
        if kept.namespaces != namespaces:
            return kept.needs.keys()
        peers = self._moved.get(id(kept.pods))
        if peers is None:
            before, now = set(map(id, kept.pods)), set(map(id, self.selection.pods))
            changed = [pod for pod in kept.pods if id(pod) not in now]
            changed += [pod for pod in self.selection.pods if id(pod) not in before]
            means = self.selection.means
            peers = frozenset(peer for peer in self.writer.peers if any(means(peer, pod) for pod in changed))
            self._moved[id(kept.pods)] = peers
        return kept.needs.keys() & peers

    def addresses(self, peer: PodPeer | Nodes, version: int) -> frozenset[str]:
        """The addresses of the Pods or nodes of a peer."""
        key = peer, version
        addresses_kept = self._addresses.get(key)
        if addresses_kept is None:
            members = self.selection.nodes(peer) if isinstance(peer, Nodes) else self.selection.members(peer)
            addresses_kept = self._addresses[key] = frozenset(
                address for pod in members for address in addresses(pod, version)
            )
        return addresses_kept


def addresses(pod: Pod | Node, version: int) -> list[str]:
    """The addresses of one family of a Pod, or of a node in the underlay."""
    return [str(address.ip) for address in pod.addresses if address.version == version]


class _Table:
    """One node's table."""

    def __init__(self, node: Node, cluster: Cluster, shared: _Shared) -> None:
        self._node, self._cluster, self._shared = node, cluster, shared
        self._words = shared.writer.words
        self._sets: dict[str, NftSet] = {}
        self._needs: dict[PodPeer | Nodes, list[Need]] = {}
        self._unsettled = False
        self._why = Why(f"NetworkPolicies of Pods on node {node.name}", node.mark)

    def state(self) -> State:
        """Empty where no Pod of the node is isolated and connections are nobody's business.

        As last time where it is made from the same, but for the sets of peers whose Pods are others.
        """
        judged = {
            direction: tuple(
                (pod, judges)
                for pod in self._cluster.pods_of(self._node)
                if (judges := self._shared.selection.judges(pod, direction)) is not NO_JUDGES
            )
            for direction in (EGRESS, INGRESS)
        }
        if not any(judged.values()) and not self._words.tracked:
            return State()
        tables = self._shared.kept.tables
        made_from = self._node, self._cluster.deny, bool(self._cluster.tiers), judged
        kept = tables.pop(self._node.netns, None)
        pods, namespaces = self._shared.selection.pods, self._cluster.namespaces
        if kept is not None and kept.made_from == made_from:
            kept = kept._replace(state=self._renewed(kept), pods=pods, namespaces=namespaces)
        else:
            state = State(self._objects(judged))
            kept = _KeptTable(made_from, self._needs, pods, namespaces, state)
        if not self._unsettled:  # what ports' names mean is any Pod's to say, and what nodes are any node's
            tables[self._node.netns] = kept
        return kept.state

    def _renewed(self, kept: _KeptTable) -> State:
        """A table as it was, with the sets that now hold other addresses."""
        moved = self._shared.moved(kept, self._cluster.namespaces)
        sets = [self._needed(need) for peer in moved for need in kept.needs[peer]]
        new = [nft_set for nft_set in sets if kept.state[nft_set.key] is not nft_set]
        return kept.state.replace(*new) if new else kept.state

    def _objects(self, judged: Mapping[str, Sequence[tuple[Pod, Judges]]]) -> Iterator[Obj]:
        yield NftTable(self._node.netns, FAMILY, TABLE, why=self._why)
        if self._words.tracked:
            yield self._chain(
                "track", [_TRACKED], self._why, base="type filter hook forward priority filter; policy accept;"
            )
        for direction, subjects in judged.items():
            if subjects:
                yield from self._maps(direction, [pod for pod, _ in subjects])
                yield from self._policies(direction, subjects)
                yield from self._tiers(direction, subjects)
                for pod, judges in subjects:
                    yield self._pod(direction, pod, judges)
        for name, direction, base in _HOOKS:
            if judged[direction]:
                yield self._chain(name, self._dispatch(direction), self._why, base=base)
        if self._cluster.deny == "reject" and self._cluster.tiers:
            yield self._chain(text.REFUSE, _REFUSALS, Why("spec.policy.deny: reject", self._cluster.mark))
        yield from self._sets.values()

    # -- dispatch -----------------------------------------------------------------------------------------------------

    def _dispatch(self, direction: str) -> list[str]:
        word = self._words.source if direction == EGRESS else self._words.target
        if not self._words.tracked:
            rules = ["ct state established,related accept"]
        else:
            rules = ["ct state related accept"]
        if 6 in self._shared.versions:
            rules.append(_DISCOVERY)
        rules += [f"{word(version)} vmap @{direction}-ipv{version}" for version in self._shared.versions]
        if self._words.tracked:  # what belongs to no connection has no ends but its own addresses
            plain = Words().source if direction == EGRESS else Words().target
            rules += [
                f"ct state invalid {plain(version)} vmap @{direction}-ipv{version}" for version in self._shared.versions
            ]
        return rules

    def _maps(self, direction: str, pods: Sequence[Pod]) -> Iterator[Obj]:
        for version in self._shared.versions:
            elements = frozenset(
                f"{address} : goto {text.pod_chain(direction, str(pod))}"
                for pod in pods
                for address in addresses(pod, version)
            )
            message = f"Pods of this node that policies judge for {direction}"
            yield self._set(f"{direction}-ipv{version}", _TYPES[version], elements, message, self._why, data="verdict")

    def _pod(self, direction: str, pod: Pod, judges: Judges) -> NftChain:
        """What judges a Pod, in its order; a packet that comes to the end of the chain passes."""
        rules = [f"jump {text.tier_chain(direction, judges.admin)}"] if judges.admin else []
        rules += [f"jump {text.policy_chain(direction, policy)}" for policy in judges.policies]
        comment = f'comment "{text.deny_comment(direction, str(pod))}"'
        if judges.policies and self._cluster.deny == "reject":
            rules += [f"{match} {comment}" for match in _REFUSALS]
        elif judges.policies:
            rules.append(f"counter drop {comment}")
        elif judges.baseline:
            rules.append(f"jump {text.tier_chain(direction, judges.baseline)}")
        state = "isolated" if judges.policies else "judged"
        why = Why(f"Pod {pod} is {state} for {direction}", pod.mark)
        return self._chain(text.pod_chain(direction, str(pod)), rules, why)

    # -- tiers --------------------------------------------------------------------------------------------------------

    def _tiers(self, direction: str, subjects: Sequence[tuple[Pod, Judges]]) -> Iterator[NftChain]:
        """A chain for each list of policies of a tier that judges Pods of this node: all their rules, in their order."""
        by_id: dict[int, tuple[TierPolicy, list[Pod]]] = {}
        lists: dict[tuple[int, ...], int] = {}
        for pod, judges in subjects:
            for policies in (judges.admin, () if judges.policies else judges.baseline):
                if policies:
                    key = tuple(map(id, policies))
                    lists[key] = lists.get(key, 0) + 1
                for policy in policies:
                    by_id.setdefault(id(policy), (policy, []))[1].append(pod)
        written = {
            number: self._settled(policy, direction, self._shared.tiers[number][direction], pods)
            for number, (policy, pods) in by_id.items()
        }
        for numbers, count in lists.items():
            policies = tuple(by_id[number][0] for number in numbers)
            rules = [rule for number in numbers for rule in written[number].rules]
            named = ", ".join(map(str, policies))
            why = Why(f"{named}: {policies[0].tier} tier of {count} of this node's Pods", policies[0].mark)
            yield self._chain(text.tier_chain(direction, policies), rules, why)

    # -- policies -----------------------------------------------------------------------------------------------------

    def _policies(self, direction: str, subjects: Sequence[tuple[Pod, Judges]]) -> Iterator[NftChain]:
        """A chain a policy, shared by all the Pods of this node that it selects."""
        by_id: dict[int, tuple[Policy, list[Pod]]] = {}
        for pod, judges in subjects:
            for policy in judges.policies:
                by_id.setdefault(id(policy), (policy, []))[1].append(pod)
        for policy, pods in by_id.values():
            written = self._settled(policy, direction, self._shared.written[id(policy)][direction], pods)
            yield self._policy(direction, policy, written, len(pods))

    def _settled(
        self, policy: Policy | TierPolicy, direction: str, written: Written | None, pods: Sequence[Pod]
    ) -> Written:
        """A policy's rules on this node, where it is about these Pods, with the sets that they need."""
        if written is None:
            self._unsettled = True
            written = self._named(policy, direction, pods)
        for need in written.needs:
            if need.name not in self._sets:
                self._sets[need.name] = self._needed(need)
                self._unsettled |= isinstance(need.peer, Nodes)
                if need.peer is not None:
                    self._needs.setdefault(need.peer, []).append(need)
        return written

    def _policy(self, direction: str, policy: Policy, written: Written, count: int) -> NftChain:
        """The chain of a policy's rules; the same object as last time where it says the same."""
        chains, key = self._shared.kept.chains, (self._node.netns, id(written), count)
        kept = chains.get(key)
        if kept is None or kept[0] is not written:
            why = Why(f"NetworkPolicy {policy} selects {count} of this node's Pods", policy.mark)
            chains[key] = kept = written, self._chain(text.policy_chain(direction, policy), written.rules, why)
        return kept[1]

    def _needed(self, need: Need) -> NftSet:
        """A set that rules look into; the same object as last time where it holds the same."""
        if need.peer is None:
            elements, flags = frozenset(need.parts), "interval"
        else:
            elements, flags = self._shared.addresses(need.peer, need.version), ""
        sets, key = self._shared.kept.sets, (self._node.netns, need.name)
        kept = sets.get(key)
        if kept is None or kept.why is not need.why or kept.elements != elements:
            kind = _TYPES[need.version]
            sets[key] = kept = self._set(need.name, kind, elements, need.comment, need.why, flags=flags)
        return kept

    # -- ports by name ------------------------------------------------------------------------------------------------

    def _named(self, policy: Policy | TierPolicy, direction: str, pods: Sequence[Pod]) -> Written:
        """The rules of a policy that names ports."""
        rules, needs = list[str](), list[Need]()
        for rule in policy.rules(direction) or ():
            why, words = rule_why(policy, rule), self._shared.writer.statement(policy, rule)
            rules += [f"{match} {words}".lstrip() for match in self._matches(rule, pods, why, needs)]
        return Written(tuple(rules), tuple(needs))

    def _matches(self, rule: Rule, pods: Sequence[Pod], why: Why, needs: list[Need]) -> Iterator[str]:
        # Egress to ports by name is one look-up of address and port: the peers are in it.
        by_name = rule.ports and all(port.name for port in rule.ports)
        ends = [] if by_name and rule.direction == EGRESS else self._shared.writer.ends(rule, why, needs)
        yield from self._shared.writer.numbered(rule, ends)
        for protocol, ports in by_protocol(rule):
            named = [port for port in ports if port.name]
            if not named or any(port.first is None and not port.name for port in ports):
                continue  # none, or every port of the protocol in any case
            if rule.direction == INGRESS:
                yield from self._named_here(protocol, named, ends, pods, why)
            else:
                yield from self._named_there(rule, protocol, named, why)

    def _named_here(
        self, protocol: str, named: Sequence[PortMatch], ends: Sequence[tuple[str, int]], pods: Sequence[Pod], why: Why
    ) -> Iterator[str]:
        """Ingress: the names are those of the selected Pods of this node."""
        numbers = [self._numbers(pod, protocol, named) for pod in pods]
        if all(number == numbers[0] for number in numbers):
            if numbers[0]:
                ports = self._words.ports(protocol, [PortMatch(protocol, port, port) for port in numbers[0]])
                yield from (f"{match} {ports}".lstrip() for match, _ in ends)
            return
        for match, family in ends:
            for version in (family,) if family else self._shared.versions:
                name = self._named_set(protocol, named, pods, version, why)
                yield f"{match} {self._words.named(version, protocol, name)}".lstrip()

    def _named_there(self, rule: Rule, protocol: str, named: Sequence[PortMatch], why: Why) -> Iterator[str]:
        """Egress: the names are those of the peers, which must be Pods."""
        selection = self._shared.selection
        by_name: dict[str, Pod] = {}
        for peer in rule.peers:
            if isinstance(peer, PodPeer):
                by_name |= {str(pod): pod for pod in selection.members(peer)}
        blocks = [entry for entry in rule.peers if isinstance(entry, Block)]
        for version in self._shared.versions:
            pods = dict(by_name)
            for pod in selection.pods:
                inside = any(_inside(address, blocks) for address in pod.addresses if address.version == version)
                if not rule.peers or inside:
                    pods[str(pod)] = pod
            if any(self._numbers(pod, protocol, named) and addresses(pod, version) for pod in pods.values()):
                name = self._named_set(protocol, named, tuple(pods.values()), version, why)
                yield self._words.named(version, protocol, name)

    def _numbers(self, pod: Pod, protocol: str, named: Sequence[PortMatch]) -> list[int]:
        numbers = (self._shared.selection.named_port(pod, port.name, protocol) for port in named)
        return sorted({port for port in numbers if port is not None})

    def _named_set(self, protocol: str, named: Sequence[PortMatch], pods: Sequence[Pod], version: int, why: Why) -> str:
        elements = frozenset(
            f"{address} . {number}"
            for pod in pods
            for number in self._numbers(pod, protocol, named)
            for address in addresses(pod, version)
        )
        message = f"ports {', '.join(dict.fromkeys(port.name for port in named))} of {protocol} at their Pods"
        name = f"ports-{names.short_hash(f'{why.message} {message}')}-ipv{version}"
        self._sets[name] = self._set(name, f"{_TYPES[version]} . inet_service", elements, message, why)
        return name

    # -- objects ------------------------------------------------------------------------------------------------------

    def _chain(self, name: str, rules: Sequence[str], why: Why, base: str = "") -> NftChain:
        return NftChain(self._node.netns, FAMILY, TABLE, chain=name, rules=tuple(rules), base=base, why=why)

    def _set(
        self, name: str, kind: str, elements: frozenset[str], message: str, why: Why, data: str = "", flags: str = ""
    ) -> NftSet:
        comment = text.comment(message)
        return NftSet(self._node.netns, FAMILY, TABLE, name, kind, elements, data, flags, comment=comment, why=why)


def _inside(address: object, blocks: Iterable[Block]) -> bool:
    ip = getattr(address, "ip", address)
    return any(ip in block.cidr and not any(ip in each for each in block.excepts) for block in blocks)
