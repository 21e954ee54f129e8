"""The meaning of an nftables rule: the NetworkPolicy, Service, Pod or data plane behind it, and its line.

The rules of netlab's policies have comments.  kube-proxy's rules have none; their chains' names identify the Service
(``service-ULMVA6XW-default/web/tcp/http``).  Any other rule is described by its table and chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from netlab.diagnose.rules.nfttext import Effect, actions
from netlab.diagnose.sightings.correlate import Judgement, Step
from netlab.errors import Mark
from netlab.model import Cluster
from netlab.model.cluster.policies import ALLOW, DENY, EGRESS, INGRESS, PASS
from netlab.model.cluster.services import Service
from netlab.model.selection import Selection
from netlab.objects import Key, NftChain, NftTable, Obj
from netlab.oracle.absent import why_none
from netlab.plan import adopted, policytext
from netlab.plan.services import TABLE as KUBE_PROXY
from netlab.planes import nft_tables
from netlab.tuples import NamedTuple
from netlab.wire.packets import NAMES, Packet

_DOES = {ALLOW: "allows it", DENY: "denies it", PASS: "passes it on, past the rest of its tier"}
_NOBODY = "has no endpoint"
_BY_SERVICE = ("service-", "external-", "local-", "firewall-")


class Meaning(NamedTuple):
    """The meaning of a traversal: ``text``, ``mark`` (the line in the file), ``policy`` or ``service`` (or "").

    ``foreign``: not one of the lab's tables.  ``rejects``: the sender is notified.
    """

    text: str
    mark: Mark | None = None
    policy: str = ""
    service: str = ""
    foreign: bool = False
    rejects: bool = False


class RuleBook:
    """The meanings of a lab's rules.  ``want`` is the desired state: other tables are foreign."""

    def __init__(self, cluster: Cluster, want: Mapping[Key, Obj]) -> None:
        self._cluster = cluster
        self._chains = {(obj.netns, obj.place, obj.chain): obj for obj in want.values() if isinstance(obj, NftChain)}
        self._tables = {(obj.netns, obj.place) for obj in want.values() if isinstance(obj, NftTable)}
        self._plugins = adopted.tables(cluster)
        self._effects_of: dict[tuple[str, str, str], set[Effect]] = {}

    @cached_property
    def _comments(self) -> dict[str, tuple[str, Mark | None, str]]:
        """By comment: the text, its line, the policy's name."""
        comments: dict[str, tuple[str, Mark | None, str]] = {}
        for tier_policy in self._cluster.tiers:
            for rule in (*tier_policy.ingress, *tier_policy.egress):
                text = f"{tier_policy} {rule.title} {_DOES[rule.action]}"
                comments[policytext.rule_comment(tier_policy, rule)] = text, rule.mark, str(tier_policy)
        for policy in self._cluster.network_policies:
            for direction in (INGRESS, EGRESS):
                for rule in policy.rules(direction) or ():
                    text = f"NetworkPolicy {policy} {rule} allows it"
                    comments[policytext.rule_comment(policy, rule)] = text, rule.mark, str(policy)
        if not self._cluster.network_policies:
            return comments
        selection = Selection(self._cluster)
        for pod in selection.pods:
            for direction in (INGRESS, EGRESS):
                isolating = selection.selecting(pod, direction)
                if isolating:
                    named = ", ".join(map(str, isolating))
                    many = "NetworkPolicy" if len(isolating) == 1 else "NetworkPolicies"
                    isolates = "isolates" if len(isolating) == 1 else "isolate"
                    text = f"{many} {named} {isolates} Pod {pod} for {direction}, and no rule of theirs allows this"
                    if len(isolating) == 1:
                        text = text.replace("of theirs", "of it")
                    comment = policytext.deny_comment(direction, str(pod))
                    comments[comment] = text, isolating[0].mark, str(isolating[0])
        return comments

    def foreign(self, netns: str, judgement: Judgement) -> bool:
        """Whether a table is not one of the lab's."""
        return (netns, f"{judgement.family} {judgement.table}") not in self._tables

    def foreign_rule(self, netns: str, judgement: Judgement, step: Step) -> bool:
        """Whether a rule is not the lab's: its table is foreign, or it was put into a chain of the lab.

        nft prints rules in its own form, so the second is known by an effect that no rule of that chain has.
        """
        if self.foreign(netns, judgement):
            return True
        if not step.handle:
            return False
        effects = {action.effect for action in actions(step.text)}
        where = netns, f"{judgement.family} {judgement.table}", step.chain
        return bool(effects and effects - self._effects(where))

    def _effects(self, where: tuple[str, str, str]) -> set[Effect]:
        """The effects of all rules of a chain of the lab: asked for at each rule that a packet meets there."""
        if where not in self._effects_of:
            chain = self._chains.get(where)
            rules = chain.rules if chain else ()
            self._effects_of[where] = {action.effect for rule in rules for action in actions(rule)}
        return self._effects_of[where]

    def tables(self, netns: str) -> list[str]:
        """The lab's tables in a namespace (``ip kube-proxy``)."""
        return sorted(table for where, table in self._tables if where == netns)

    def rule_text(self, netns: str, judgement: Judgement, step: Step) -> str:
        """The rule in nft's syntax: as recorded, else as desired."""
        if step.text or not step.comment:
            return step.text
        chain = self._chains.get((netns, f"{judgement.family} {judgement.table}", step.chain))
        ending = f'comment "{step.comment}"'
        return next((rule for rule in chain.rules if rule.endswith(ending)), "") if chain else ""

    def meaning(self, netns: str, judgement: Judgement, packet: Packet) -> Meaning | None:
        """The meaning of a traversal; None if no rule in it was about this packet."""
        meanings = [meaning for step in judgement.steps if (meaning := self._step(netns, judgement, step, packet))]
        ended = _ending(judgement)
        if not meanings:
            changing = [
                step
                for step in judgement.steps
                if step.handle and self.foreign_rule(netns, judgement, step) and any(actions(step.text))
            ]
            if changing:
                ending = [ended] if ended and judgement.verdict == "drop" and ended not in changing else []
                return self._changed(netns, judgement, [*changing, *ending])
            if ended is None or (judgement.verdict != "drop" and not ended.handle):
                return None
            return self._plain(netns, judgement, ended)
        text = "; ".join(dict.fromkeys(meaning.text for meaning in meanings))
        last = meanings[-1]
        mark = next((meaning.mark for meaning in reversed(meanings) if meaning.mark), None)
        service = next((meaning.service for meaning in meanings if meaning.service), "")
        return Meaning(
            text=text,
            mark=mark,
            policy=last.policy,
            service=service,
            foreign=last.foreign,
            rejects=any(meaning.rejects for meaning in meanings),
        )

    def _changed(self, netns: str, judgement: Judgement, steps: Iterable[Step]) -> Meaning:
        """Foreign rules that changed the packet, with or without a verdict."""
        plain = [self._plain(netns, judgement, step) for step in steps]
        return plain[-1]._replace(text="; ".join(meaning.text for meaning in plain))

    def _plain(self, netns: str, judgement: Judgement, step: Step) -> Meaning:
        text = self.rule_text(netns, judgement, step)
        where = f"table {judgement.family} {judgement.table} chain {step.chain}"
        foreign = self.foreign_rule(netns, judgement, step)
        which = f"rule handle {step.handle}" if step.handle else "its policy"
        quoted = text or (f'"{step.comment}"' if step.comment else "")
        message = f"{where}, {which}" + (f": {quoted}" if quoted else "")
        if foreign:
            message += f" ({self._whose(netns, judgement)})"
        return Meaning(message, foreign=foreign, rejects="reject" in f"{text} {step.comment}".split())

    def _whose(self, netns: str, judgement: Judgement) -> str:
        if (netns, f"{judgement.family} {judgement.table}") in self._plugins and self._cluster.attachments:
            return f"of CNI {adopted.named(self._cluster.attachments)}"
        return f"not one of this lab's {'tables' if self.foreign(netns, judgement) else 'rules'}"

    # -- one rule -----------------------------------------------------------------------------------------------------

    def _step(self, netns: str, judgement: Judgement, step: Step, packet: Packet) -> Meaning | None:
        if not step.handle or self.foreign_rule(netns, judgement, step):
            return None
        comment = step.comment
        if policytext.is_ours(comment):
            message, mark, policy = self._comments.get(comment, (comment, None, comment.removeprefix("netpol:")))
            text = self.rule_text(netns, judgement, step)
            return Meaning(message, mark, policy, rejects="reject" in text or self._rejects(comment))
        if comment.startswith("hostport:") and step.verdict != "jump":
            return self._pod(comment.removeprefix("hostport:"), "hostPort of Pod")
        if comment.startswith("underlay:"):
            node = comment.removeprefix("underlay:")
            message = f"from node {node} the underlay accepts only packets with the node's own source address"
            return Meaning(message, self._cluster.underlay.mark)
        if judgement.table == KUBE_PROXY:
            return self._kube_proxy(step, packet)
        if judgement.table == policytext.TABLE and step.verdict == "accept":
            text = self.rule_text(netns, judgement, step)
            if text.startswith("ct "):
                return Meaning("belongs to a connection that was accepted")
            return Meaning("neighbour discovery is accepted" if "icmpv6" in text else "let through")
        if judgement.hook == "postrouting" and not self.foreign(netns, judgement):
            return self._leaving(netns, judgement, step)
        if judgement.table == "underlay" and step.verdict == "drop":
            message = f"the router has no route to {packet.target}, and sends an error"
            return Meaning(message, self._cluster.underlay.mark, rejects=True)
        return None

    def _rejects(self, comment: str) -> bool:
        """Whether a rule of a policy notifies the sender."""
        meaning = self._comments.get(comment)
        denies = comment.startswith("netpol:deny ") or (meaning is not None and meaning[0].endswith(_DOES[DENY]))
        return denies and self._cluster.deny == "reject"

    def _leaving(self, netns: str, judgement: Judgement, step: Step) -> Meaning | None:
        """Masquerading of packets that leave the Pods' network, in a data plane's own table."""
        text = self.rule_text(netns, judgement, step)
        masquerades = "masquerade" in text.split() or (not text and "natOutgoing" in step.comment)
        if masquerades and judgement.table in nft_tables():
            return Meaning("masqueraded: it leaves the Pods' network, so it gets the node's address")
        return None

    def _kube_proxy(self, step: Step, packet: Packet) -> Meaning | None:
        target = step.target or step.chain
        if step.target.startswith(_BY_SERVICE) and "/" in step.target:
            kind, _, base = step.target.partition("-")
            service, port = self._service(base)
            named = f"Service {_front(base)}"
            if kind == "firewall":
                named += " (loadBalancerSourceRanges)"
            return Meaning(named, _mark(service, port), service=_front(base).split(" ")[0])
        if step.target.startswith("endpoint-"):
            address, _, number = step.target.rpartition("__")[2].rpartition("/")
            return Meaning(f"backend {self._backend(address)} port {number}")
        if target == "reject-chain":
            return self._no_endpoints(packet, _NOBODY)._replace(rejects=True)
        if target == "mark-for-masquerade":
            return Meaning("marked, so that its source is masqueraded")
        if step.chain == "masquerading" and step.verdict == "accept":
            return Meaning("masqueraded: the reply must come back through this node")
        if step.chain == "cluster-ips-check" and step.verdict == "drop":
            served = self._served(packet)
            if served:
                return Meaning(f"these rules do not have {served}", rejects=step.comment.startswith("Reject"))
            if step.comment.startswith("Reject"):
                return self._no_endpoints(packet, f"has no port {packet.dport}")._replace(rejects=True)
            return Meaning(f"no Service has the address {packet.target}")
        if step.chain.startswith("firewall-") and step.verdict == "drop":
            return Meaning("its source is in none of them")
        if step.verdict == "drop":
            inside = any(packet.target in map(str, service.cluster_ips) for service in self._cluster.services)
            policy = "internalTrafficPolicy" if inside else "externalTrafficPolicy"
            return self._no_endpoints(packet, f"has no endpoint on this node, and its {policy} is Local")
        return None

    def _service(self, base: str) -> tuple[Service | None, str]:
        """The Service and the port name in a chain's base name (``HASH-ns/name/tcp/port``)."""
        parts = base.partition("-")[2].split("/")
        if len(parts) < 4:
            return None, ""
        wanted = f"{parts[0]}/{parts[1]}"
        return next((service for service in self._cluster.services if str(service) == wanted), None), parts[3]

    def _served(self, packet: Packet) -> str:
        """The Service port that a packet is for, if the lab has it."""
        protocol = NAMES.get(packet.protocol, "")
        for service in self._cluster.services:
            for port in service.ports if packet.target in map(str, service.cluster_ips) else ():
                if (port.port, port.protocol) == (packet.dport, protocol):
                    return f"Service {service} port {port}"
        return ""

    def _no_endpoints(self, packet: Packet, fault: str) -> Meaning:
        version = 6 if ":" in packet.target else 4
        for service in self._cluster.services:
            addresses = {str(address) for address in (*service.cluster_ips, *service.outside_ips)}
            for index, port in enumerate(service.ports):
                if port.protocol != NAMES.get(packet.protocol, ""):
                    continue
                at_node = bool(port.node_port) and port.node_port == packet.dport
                if (packet.target in addresses and port.port == packet.dport) or at_node:
                    why = f": {why_none(self._cluster, service, index, version)}" if fault == _NOBODY else ""
                    text = f"Service {service} port {port} {fault}{why}"
                    return Meaning(text, port.mark or service.mark, "", str(service))
            if packet.target in addresses:
                return Meaning(f"Service {service} {fault}", service.mark, "", str(service))
        return Meaning(f"the Service at {packet.target} {fault}")

    def _backend(self, address: str) -> str:
        shown = address.replace(".", ":") if address.count(".") > 3 or ".." in address else address
        for pod in self._cluster.pods:
            if any(str(own.ip) == shown for own in pod.addresses):
                return f"{pod} {shown}"
        return shown

    def _pod(self, name: str, noun: str) -> Meaning:
        pod = next((pod for pod in self._cluster.pods if str(pod) == name), None)
        return Meaning(f"{noun} {name}", pod.mark if pod else None)


def _front(base: str) -> str:
    parts = base.partition("-")[2].split("/")
    if len(parts) < 4:
        return base
    return f"{parts[0]}/{parts[1]} port {parts[3] or parts[2]}"


def _mark(service: Service | None, name: str) -> Mark | None:
    if service is None:
        return None
    return next((port.mark for port in service.ports if port.name == name and port.mark), service.mark)


def _ending(judgement: Judgement) -> Step | None:
    """The step with the final verdict."""
    steps: Iterator[Step] = reversed(judgement.steps)
    return next((step for step in steps if step.verdict not in ("continue", "jump", "goto", "return")), None)


def location(mark: Mark | None) -> str:
    """``(lab.yaml:12)``, or ""."""
    return f"({mark.file}:{mark.line})" if mark else ""
