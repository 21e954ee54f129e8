"""The oracle for policies: may this packet pass, and because of which rule?

A connection needs the source's egress and the destination's ingress.  In each direction the Admin tier is asked first:
its first rule that matches allows, denies or passes on.  Then NetworkPolicies: a Pod that one of them isolates may do
what the union of their rules allows, and nothing else.  Of a Pod that none isolates the Baseline tier's first rule that
matches decides, and where none does, everything may pass.  Ports are those of the destination Pod, after any Service's
translation.

What the APIs leave open, and what holds here: policies do not select Pods of the host's network, whose traffic is the
node's.  A node always reaches its own Pods; a Pod reaches its own node only if its egress allows.  A Pod always reaches
itself.  By its Service it does so only if both its directions allow it, since the packets leave the Pod and come back.
An ipBlock matches the address of a Pod as any other.  ICMP passes by rules without ports alone.  A Pod isolated for one
direction alone has the Baseline tier for the other.
"""

from __future__ import annotations

from ipaddress import ip_address
from math import inf

from netlab.model import Address, Cluster, Pod
from netlab.model.cluster.policies import (
    ALLOW,
    DENY,
    EGRESS,
    INGRESS,
    MISSPELT,
    PASS,
    PROTOCOLS,
    Block,
    DomainNames,
    Nodes,
    Peer,
    PodPeer,
    Policy,
    PortMatch,
    Rule,
)
from netlab.model.cluster.tiers import NO_JUDGES, Judges, TierPolicy
from netlab.model.selection import Selection
from netlab.tuples import NamedTuple

#: What an end is that is no Pod of the cluster's network.
IS_NODE = "is a node"
HOST_NETWORK = "is in its node's network (hostNetwork)"
OUTSIDE = "is outside of the cluster"
NOBODY = "is no Pod's address"
_PEERS = 3  # peers of a rule whose reasons are written out
_OTHER_KIND = 2.0  # how far a rule about Pods is from an address that is none of a Pod, and a CIDR from a Pod


class Party(NamedTuple):
    """One end of a packet: its address, and the Pod whose it is (never one of the host's network).

    ``what`` says of an end without a Pod what it is: a node, a Pod of the host's network, a host outside.
    """

    address: str
    pod: Pod | None
    name: str
    what: str = ""


class Missed(NamedTuple):
    """A rule that does not match, and why; ``rule`` None: the policy has none in this direction.

    ``distance``: how much would have to change before it matched, so that the nearest rule is known.
    """

    policy: Policy | TierPolicy
    rule: Rule | None
    message: str
    distance: float = inf


class TierRule(NamedTuple):
    """The first rule of a tier that matches."""

    policy: TierPolicy
    rule: Rule


class Side(NamedTuple):
    """One direction's judgement: of the source's egress, or the destination's ingress.

    ``policies`` are the NetworkPolicies that isolate the Pod.  ``rule`` is the first that allows.  ``missed``: where none
    allows, the nearest comes first.  ``exempt`` says why no policy decided.  ``tier`` is the rule of a tier that
    decided, ``passed`` the one that left it to the NetworkPolicies.  ``unmatched`` are the rules of tiers that were asked
    and do not match, in their order.
    """

    direction: str
    party: Party
    allowed: bool
    policies: tuple[Policy, ...] = ()
    rule: tuple[Policy, Rule] | None = None
    missed: tuple[Missed, ...] = ()
    exempt: str = ""
    tier: TierRule | None = None
    passed: TierRule | None = None
    unmatched: tuple[Missed, ...] = ()


class Evaluator:
    """Judges packets by a cluster's policies."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.selection = Selection(cluster)
        self._pods = {str(address.ip): pod for pod in self.selection.pods for address in pod.addresses}
        self._nodes = {str(address.ip): node.name for node in cluster.nodes for address in node.addresses}
        self._nodes |= {str(gateway.ip): node.name for node in cluster.nodes for gateway in node.gateways}
        self._externals = {str(interface.ip): host.name for host in cluster.external for interface in host.addresses}
        self._hosts = {str(pod): pod for pod in cluster.pods if pod.host_network}
        self._names: dict[PodPeer, frozenset[str]] = {}
        self._addresses: dict[str, Address] = {}
        self._judges: dict[tuple[str, str], Judges] = {}
        self._node_peers: dict[Nodes, frozenset[str]] = {}

    def party(self, address: str) -> Party:
        """Whose an address is."""
        pod = self._pods.get(address)
        if pod:
            return Party(address, pod, str(pod))
        if node := self._nodes.get(address):
            return Party(address, None, node, IS_NODE)
        if host := self._externals.get(address):
            return Party(address, None, host, OUTSIDE)
        return Party(address, None, address, NOBODY)

    def isolating(self, pod: Pod, direction: str) -> tuple[Policy, ...]:
        """The NetworkPolicies that isolate a Pod in a direction."""
        return self.judges(pod, direction).policies

    def judges(self, pod: Pod, direction: str) -> Judges:
        """Everything that judges a Pod in a direction."""
        key = (str(pod), direction)
        judges = self._judges.get(key)
        if judges is None:
            judges = self._judges[key] = self.selection.judges(pod, direction)
        return judges

    # -- the verdict --------------------------------------------------------------------------------------------------

    def denied_by(self, src: Party, dst: Party, port: int, protocol: str) -> str:
        """The direction in which a packet is denied: ``egress`` comes first, then ``ingress``; empty: it passes."""
        if src.pod is not None and not self.passes(EGRESS, src, dst, port, protocol):
            return EGRESS
        if dst.pod is not None and not self.passes(INGRESS, dst, src, port, protocol):
            return INGRESS
        return ""

    def passes(
        self, direction: str, own: Party, other: Party, port: int, protocol: str, *, hairpin: bool = False
    ) -> bool:
        """Whether the policies of ``own``, a Pod, let a packet pass in a direction; the port is the destination's.

        ``hairpin``: it came to the address of a Service, so one from a Pod to itself goes by the node.
        """
        return self._ruled(direction, own, other, port, protocol, hairpin=hairpin)[0]

    def denied_in_tier(
        self, direction: str, own: Party, other: Party, port: int, protocol: str, *, hairpin: bool = False
    ) -> TierRule | None:
        """The rule of a tier that denies what does not pass; None where NetworkPolicies deny it."""
        return self._ruled(direction, own, other, port, protocol, hairpin=hairpin)[1]

    def _ruled(
        self, direction: str, own: Party, other: Party, port: int, protocol: str, *, hairpin: bool
    ) -> tuple[bool, TierRule | None]:
        """Whether a packet passes, and the rule of a tier that decided."""
        assert own.pod is not None
        if own.pod is other.pod:
            if not hairpin:
                return True, None
        elif direction == INGRESS and self._own_node(own.pod, other):
            return True, None
        judges = self.judges(own.pod, direction)
        if judges is NO_JUDGES:
            return True, None
        target = other if direction == EGRESS else own
        decision = self._first(judges.admin, direction, other, target, port, protocol)
        if decision is not None and decision.rule.action != PASS:
            return decision.rule.action == ALLOW, decision
        if judges.policies:
            allowed = any(
                self.rule_matches(rule, other, target, port, protocol)
                for policy in judges.policies
                for rule in policy.rules(direction) or ()
            )
            return allowed, None
        decision = self._first(judges.baseline, direction, other, target, port, protocol)
        return decision is None or decision.rule.action != DENY, decision

    def _first(
        self,
        policies: tuple[TierPolicy, ...],
        direction: str,
        other: Party,
        target: Party,
        port: int,
        protocol: str,
        unmatched: list[Missed] | None = None,
    ) -> TierRule | None:
        """The first rule of a tier that matches; the others before it go to ``unmatched``."""
        for policy in policies:
            for rule in policy.rules(direction):
                if self.rule_matches(rule, other, target, port, protocol):
                    return TierRule(policy, rule)
                if unmatched is not None:
                    unmatched.append(self._missed(policy, rule, other, target, port, protocol))
        return None

    def _own_node(self, pod: Pod, other: Party) -> bool:
        return other.pod is None and self._nodes.get(other.address) == pod.node

    def rule_matches(self, rule: Rule, other: Party, target: Party, port: int, protocol: str) -> bool:
        if rule.peers and not any(self._peer_matches(peer, other) for peer in rule.peers):
            return False
        return not rule.ports or any(self._port_matches(match, target, port, protocol) for match in rule.ports)

    def _peer_matches(self, peer: Peer, other: Party) -> bool:
        if isinstance(peer, DomainNames):
            return False
        if isinstance(peer, Nodes):
            return other.address in self._addresses_of(peer)
        if isinstance(peer, Block):
            address = self._addresses.get(other.address)
            if address is None:
                address = self._addresses[other.address] = ip_address(other.address)
            return address in peer.cidr and not any(address in excepted for excepted in peer.excepts)
        if other.pod is None:
            return False
        names = self._names.get(peer)
        if names is None:
            names = self._names[peer] = frozenset(map(str, self.selection.members(peer)))
        return str(other.pod) in names

    def _addresses_of(self, peer: Nodes) -> frozenset[str]:
        addresses = self._node_peers.get(peer)
        if addresses is None:
            nodes = self.selection.nodes(peer)
            addresses = frozenset(str(address.ip) for node in nodes for address in node.addresses)
            self._node_peers[peer] = addresses
        return addresses

    def _port_matches(self, match: PortMatch, target: Party, port: int, protocol: str) -> bool:
        if match.protocol not in (protocol, ""):
            return False
        if match.name:
            return target.pod is not None and self.selection.named_port(target.pod, match.name, protocol) == port
        return match.first is None or match.first <= port <= (match.last or match.first)

    # -- the reasons --------------------------------------------------------------------------------------------------

    def side(
        self, direction: str, own: Party, other: Party, port: int, protocol: str, *, hairpin: bool = False
    ) -> Side:
        """``passes`` with its reasons, also of an end that is no Pod."""
        pod = own.pod
        if pod is None:
            return Side(
                direction, own, True, exempt=f"{own.name} {own.what}, and policies are about Pods{self._meant(own)}"
            )
        if pod is other.pod and not hairpin:
            return Side(direction, own, True, exempt="a Pod always reaches itself")
        if direction == INGRESS and self._own_node(pod, other):
            return Side(direction, own, True, exempt=f"a node always reaches its own Pods, and {pod} is on {pod.node}")
        judges, unmatched = self.judges(pod, direction), list[Missed]()
        target = other if direction == EGRESS else own
        first = self._first(judges.admin, direction, other, target, port, protocol, unmatched)
        passed = first if first is not None and first.rule.action == PASS else None
        if first is not None and passed is None:
            allowed = first.rule.action == ALLOW
            return Side(direction, own, allowed, judges.policies, tier=first, unmatched=tuple(unmatched))
        if judges.policies:
            side = self._isolated(direction, own, judges.policies, other, target, port, protocol)
            return side._replace(passed=passed, unmatched=tuple(unmatched))
        last = self._first(judges.baseline, direction, other, target, port, protocol, unmatched)
        if last is not None:
            allowed = last.rule.action != DENY
            return Side(direction, own, allowed, tier=last, passed=passed, unmatched=tuple(unmatched))
        unasked = "" if judges is NO_JUDGES else "no rule of a tier decides, and "
        exempt = f"{unasked}no policy isolates {pod} for {direction}{self._misspelt(pod, direction)}"
        return Side(direction, own, True, exempt=exempt, passed=passed, unmatched=tuple(unmatched))

    def _isolated(
        self,
        direction: str,
        own: Party,
        policies: tuple[Policy, ...],
        other: Party,
        target: Party,
        port: int,
        protocol: str,
    ) -> Side:
        """What the NetworkPolicies that isolate a Pod make of a packet."""
        missed = []
        for policy in policies:
            rules = policy.rules(direction) or ()
            if not rules:
                missed.append(Missed(policy, None, f"has no {direction} rule: it allows nothing"))
            for rule in rules:
                if self.rule_matches(rule, other, target, port, protocol):
                    return Side(direction, own, True, policies, (policy, rule), tuple(missed))
                missed.append(self._missed(policy, rule, other, target, port, protocol))
        missed.sort(key=lambda each: each.distance)
        return Side(direction, own, False, policies, None, tuple(missed))

    def _meant(self, own: Party) -> str:
        """Of a Pod of its node's network, the policies whose selector means it, to no effect."""
        host = self._hosts.get(own.name)
        every = self._cluster.all_policies
        policies = [each for each in every if host and self.selection.means(each.subject, host)]
        return f"; {' and '.join(map(str, policies[:_PEERS]))} would select it by its labels" if policies else ""

    def _misspelt(self, pod: Pod, direction: str) -> str:
        """The policy that was probably meant to isolate a Pod: its selector means nobody, and is one label away."""
        for policy in self.selection.policies:
            if policy.namespace != pod.namespace or policy.rules(direction) is None:
                continue
            if policy.pods.distance(pod.labels) == MISSPELT and not self.selection.members(policy.subject):
                return f"; {policy} selects no Pod by {policy.pods}, and {pod} {policy.pods.why_not(pod.labels)}"
        for tier_policy in self.selection.tiers:
            subject = tier_policy.subject
            if not tier_policy.rules(direction) or self.selection.members(subject):
                continue
            message, distance = self._peer_misses(subject, Party("", pod, str(pod)))
            if distance == MISSPELT:
                return f"; {tier_policy} selects no Pod: {message.removeprefix('peer ')}"
        return ""

    def _missed(
        self, policy: Policy | TierPolicy, rule: Rule, other: Party, target: Party, port: int, protocol: str
    ) -> Missed:
        """Why a rule does not allow: the nearest peers' reasons where none matches, and the ports' where none does."""
        reasons, distance = [], 0.0
        if rule.peers and not any(self._peer_matches(peer, other) for peer in rule.peers):
            misses = dict(
                sorted({self._peer_misses(peer, other): None for peer in rule.peers}, key=lambda miss: miss[1])
            )
            distance += min(misses.values())
            more = f"; and {len(misses) - _PEERS} more peers" if len(misses) > _PEERS else ""
            reasons.append("; ".join([*misses][:_PEERS]) + more)
        if rule.ports and not any(self._port_matches(match, target, port, protocol) for match in rule.ports):
            wanted = ", ".join(dict.fromkeys(self._shown(match, target) for match in rule.ports))
            distance += 1
            reasons.append(
                f"the port is {port}/{protocol}, not {wanted}" if port else f"ports are given, not {protocol}"
            )
        return Missed(policy, rule, ", and ".join(reasons), distance)

    def _peer_misses(self, peer: Peer, other: Party) -> tuple[str, float]:
        """Why a peer is not the other end, and how far it is from it."""
        if isinstance(peer, DomainNames):
            return f"domain names match nothing here ({peer})", _OTHER_KIND
        if isinstance(peer, Nodes):
            return self._node_misses(peer, other)
        if isinstance(peer, Block):
            address = ip_address(other.address)
            if address in peer.cidr:
                return f"{other.address} is excepted from {peer.cidr}", 1
            return f"{other.address} is not in {peer.cidr}", _OTHER_KIND if other.pod else 1
        if other.pod is None:
            if (host := self._hosts.get(other.name)) is not None and self.selection.means(peer, host):
                message = f"rules see its node's address {other.address}, which an ipBlock alone matches"
                return f"{other.name} has these labels, but {other.what}: {message}", MISSPELT
            return f"{other.name} {other.what}, and selectors select Pods alone", _OTHER_KIND
        pod, space, distance = other.pod, "", 0.0
        if peer.namespaces is not None:
            labels = self.selection.labels(pod.namespace)
            distance = peer.namespaces.distance(labels)
            space = f"peer namespace {pod.namespace} {peer.namespaces.why_not(labels)}" if distance else ""
        elif pod.namespace != peer.namespace:
            space, distance = f"peer {pod} is not in namespace {peer.namespace}", 1
        own = f"peer {pod} {peer.pods.why_not(pod.labels)}" if peer.pods.distance(pod.labels) else ""
        return " and ".join(filter(None, (space, own))), distance + peer.pods.distance(pod.labels)

    def _node_misses(self, peer: Nodes, other: Party) -> tuple[str, float]:
        node = next((node for node in self._cluster.nodes if node.name == self._nodes.get(other.address)), None)
        if node is None:
            return f"{other.address} is not an address of {peer}", _OTHER_KIND if other.pod else 1
        distance = peer.selector.distance(node.labels)
        if not distance:
            return f"{other.address} is not an address of node {node.name} in the underlay", 1
        return f"node {node.name} {peer.selector.why_not(node.labels)}", distance

    def _shown(self, match: PortMatch, target: Party) -> str:
        if not match.name:
            return str(match)
        protocols = (match.protocol,) if match.protocol else PROTOCOLS
        named = [self.selection.named_port(target.pod, match.name, each) for each in protocols if target.pod]
        number = next(filter(None, named), None)
        return f"{match} ({number} at {target.name})" if number else f"{match} (which {target.name} does not have)"
