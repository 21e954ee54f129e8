"""A policy's rules in nft's words, the same on every node, and the sets that they look into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby

from netlab import names
from netlab.memo import Latest, Memo
from netlab.model.cluster.policies import (
    ALLOW,
    DENY,
    EGRESS,
    INGRESS,
    PROTOCOLS,
    Block,
    Nodes,
    PodPeer,
    Policy,
    PortMatch,
    Rule,
)
from netlab.model.cluster.tiers import TierPolicy
from netlab.objects import Why
from netlab.plan import policytext as text
from netlab.plan.policytext import Words
from netlab.tuples import NamedTuple


class Need(NamedTuple):
    """A set that rules look into: of a peer's Pods or nodes (``peer``), or of ranges of addresses (``parts``)."""

    name: str
    version: int
    comment: str
    why: Why
    peer: PodPeer | Nodes | None = None
    parts: tuple[str, ...] = ()


class Written(NamedTuple):
    """A policy's rules in one direction, the same on every node, and the sets that they need."""

    rules: tuple[str, ...]
    needs: tuple[Need, ...]


class Writer:
    """Puts policies into words, for labs of some families and one way to name a packet's ends."""

    def __init__(self, versions: tuple[int, ...], *, tracked: bool, deny: str) -> None:
        self.versions, self.words, self._deny = versions, Words(tracked=tracked), deny
        self._all_written = Memo(self._written).all
        self.by_id = Latest(self._by_id)
        self.tiers = Memo(self._written).all
        self._names: dict[PodPeer | Nodes, str] = {}
        self.peers: dict[PodPeer, PodPeer] = {}  # each kept once, however many rules name it

    def _by_id(self, policies: tuple[Policy, ...]) -> Mapping[int, Mapping[str, Written | None]]:
        return dict(zip(map(id, policies), self._all_written(policies), strict=True))

    def _written(self, policy: Policy | TierPolicy) -> dict[str, Written | None]:
        """By direction; None where ports have names, which mean what the Pods of a node make of them."""
        return {direction: self._direction(policy, direction) for direction in (INGRESS, EGRESS)}

    def _direction(self, policy: Policy | TierPolicy, direction: str) -> Written | None:
        rules, needs = list[str](), list[Need]()
        for rule in policy.rules(direction) or ():
            if any(port.name for port in rule.ports):
                return None
            why, words = rule_why(policy, rule), self.statement(policy, rule)
            matches = self.numbered(rule, self.ends(rule, why, needs))
            rules += [f"{match} {words}".lstrip() for match in matches]
        return Written(tuple(rules), tuple(needs))

    def numbered(self, rule: Rule, ends: Sequence[tuple[str, int]]) -> Iterator[str]:
        """The matches of a rule for its ports by number: each is one of its ends and one protocol's ports."""
        if not rule.ports:
            yield from (match for match, _ in ends)
            return
        for protocol, ports in by_protocol(rule):
            numbered = [port for port in ports if not port.name]
            if any(port.first is None for port in numbered):
                yield from (f"{match} {self.words.protocol(protocol)}".lstrip() for match, _ in ends)
            elif numbered:
                yield from (f"{match} {self.words.ports(protocol, numbered)}".lstrip() for match, _ in ends)

    def ends(self, rule: Rule, why: Why, needs: list[Need]) -> list[tuple[str, int]]:
        """The matches for the rule's peers, each with its family; "" and 0 where everybody is meant."""
        if not rule.peers:
            return [("", 0)]
        rules = []
        word = self.words.source if rule.direction == INGRESS else self.words.target
        pods = dict.fromkeys(self.peers.setdefault(entry, entry) for entry in rule.peers if isinstance(entry, PodPeer))
        nodes = dict.fromkeys(entry for entry in rule.peers if isinstance(entry, Nodes))
        blocks = [entry for entry in rule.peers if isinstance(entry, Block)]
        for version in self.versions:
            for peer in chain[PodPeer | Nodes](pods, nodes):
                name = f"{'pods' if isinstance(peer, PodPeer) else 'nodes'}-{self._name(peer)}-ipv{version}"
                needs.append(Need(name, version, str(peer), why, peer=peer))
                rules.append((f"{word(version)} @{name}", version))
            parts = text.ranges(blocks, version)
            if len(parts) == 1:
                rules.append((f"{word(version)} {parts[0]}", version))
            elif parts:
                # Named by what is in it: ranges are never changed one by one, which overlapping ones do not survive.
                message = "; ".join(str(block) for block in blocks if block.cidr.version == version)
                name = f"blocks-{names.short_hash(','.join((message, *parts)))}-ipv{version}"
                needs.append(Need(name, version, message, why, parts=tuple(parts)))
                rules.append((f"{word(version)} @{name}", version))
        return rules

    def statement(self, policy: Policy | TierPolicy, rule: Rule) -> str:
        """How each line of a rule ends: what is done with the packet, and whose rule it is.

        A Pass leaves the chain of its tier, and the Pod's chain goes on.
        """
        denies = "drop" if self._deny == "drop" else f"goto {text.REFUSE}"
        verdict = {ALLOW: "accept", DENY: denies}.get(rule.action, "return")
        return f'counter {verdict} comment "{text.rule_comment(policy, rule)}"'

    def _name(self, peer: PodPeer | Nodes) -> str:
        """A short name that is the same wherever the peer is written."""
        name = self._names.get(peer)
        if name is None:
            name = self._names[peer] = names.short_hash(str(peer))
        return name


def rule_why(policy: Policy | TierPolicy, rule: Rule) -> Why:
    """The reason recorded on objects that exist for this rule."""
    kind = "NetworkPolicy " if isinstance(policy, Policy) else ""
    return Why(f"{kind}{policy} {rule}", rule.mark)


def by_protocol(rule: Rule) -> Iterator[tuple[str, list[PortMatch]]]:
    """A rule's ports by their protocol; a name without a protocol is one of each."""
    ordered = sorted(
        (protocol, number, port)
        for number, port in enumerate(rule.ports)
        for protocol in ((port.protocol,) if port.protocol else PROTOCOLS)
    )
    for protocol, group in groupby(ordered, key=lambda entry: entry[0]):
        yield protocol, [port for _, _, port in group]
