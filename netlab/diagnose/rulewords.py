"""What a rule of nftables stands for: the NetworkPolicy, Service, Pod or data plane that it was made of, and the line.

netlab's policies say it in their rules' comments; kube-proxy's tables have none, there the names of the chains lead back
(``service-ULMVA6XW-default/web/tcp/http``).  What neither explains is called what it is: a table, a chain, a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from netlab.diagnose.correlate import Judgement, Step
from netlab.errors import Mark
from netlab.model import Cluster
from netlab.model.policies import EGRESS, INGRESS
from netlab.model.selection import Selection
from netlab.model.services_types import Service
from netlab.objects import Key, NftChain, NftTable, Obj
from netlab.oracle.absent import why_none
from netlab.plan import policytext
from netlab.plan.services import TABLE as KUBE_PROXY
from netlab.planes import nft_tables
from netlab.wire.packets import Packet

_NOBODY = "has no endpoint"
_BY_SERVICE = ("service-", "external-", "local-", "firewall-")


class Meaning(NamedTuple):
    """What a traversal says: ``says`` in words, ``mark`` the line behind it; who: ``policy`` or ``service`` or "".

    ``foreign``: no table of the lab's.  ``rejects``: the packet's sender is told.
    """

    says: str
    mark: Mark | None = None
    policy: str = ""
    service: str = ""
    foreign: bool = False
    rejects: bool = False


class RuleBook:
    """The meanings of a lab's rules.  ``want`` is what the lab should be: what is not in it is a stranger's."""

    def __init__(self, cluster: Cluster, want: Mapping[Key, Obj]) -> None:
        self._cluster = cluster
        self._chains = {(one.netns, one.place, one.chain): one for one in want.values() if isinstance(one, NftChain)}
        self._tables = {(one.netns, one.place) for one in want.values() if isinstance(one, NftTable)}

    @cached_property
    def _comments(self) -> dict[str, tuple[str, Mark | None, str]]:
        """By comment: what it says, its line, the policy's name."""
        found: dict[str, tuple[str, Mark | None, str]] = {}
        for policy in self._cluster.network_policies:
            for direction in (INGRESS, EGRESS):
                for rule in policy.rules(direction) or ():
                    says = f"NetworkPolicy {policy} {rule} allows it"
                    found[policytext.rule_comment(policy, rule)] = says, rule.mark, str(policy)
        if not self._cluster.network_policies:
            return found
        selection = Selection(self._cluster)
        for pod in selection.pods:
            for direction in (INGRESS, EGRESS):
                isolating = selection.selecting(pod, direction)
                if isolating:
                    named = ", ".join(map(str, isolating))
                    many = "NetworkPolicy" if len(isolating) == 1 else "NetworkPolicies"
                    isolates = "isolates" if len(isolating) == 1 else "isolate"
                    says = f"{many} {named} {isolates} Pod {pod} for {direction}, and no rule of theirs allows this"
                    if len(isolating) == 1:
                        says = says.replace("of theirs", "of it")
                    comment = policytext.deny_comment(direction, str(pod))
                    found[comment] = says, isolating[0].mark, str(isolating[0])
        return found

    def foreign(self, netns: str, judgement: Judgement) -> bool:
        """Whether a table is none of the lab's own."""
        return (netns, f"{judgement.family} {judgement.table}") not in self._tables

    def rule_text(self, netns: str, judgement: Judgement, step: Step) -> str:
        """The rule as nft has it: as it was recorded, else as the lab wants it."""
        if step.text or not step.comment:
            return step.text
        chain = self._chains.get((netns, f"{judgement.family} {judgement.table}", step.chain))
        said = f'comment "{step.comment}"'
        return next((one for one in chain.rules if one.endswith(said)), "") if chain else ""

    def meaning(self, netns: str, judgement: Judgement, packet: Packet) -> Meaning | None:
        """What a traversal means; None where nothing in it was about this packet."""
        found = [one for step in judgement.steps if (one := self._step(netns, judgement, step, packet))]
        ended = _ending(judgement)
        if not found:
            if ended is None or (judgement.verdict != "drop" and not ended.handle):
                return None
            return self._plain(netns, judgement, ended)
        says = "; ".join(dict.fromkeys(one.says for one in found))
        last = found[-1]
        mark = next((one.mark for one in reversed(found) if one.mark), None)
        service = next((one.service for one in found if one.service), "")
        return Meaning(says, mark, last.policy, service, last.foreign, any(one.rejects for one in found))

    def _plain(self, netns: str, judgement: Judgement, step: Step) -> Meaning:
        text = self.rule_text(netns, judgement, step)
        where = f"table {judgement.family} {judgement.table} chain {step.chain}"
        foreign = self.foreign(netns, judgement)
        which = f"rule handle {step.handle}" if step.handle else "its policy"
        said = text or (f'"{step.comment}"' if step.comment else "")
        says = f"{where}, {which}" + (f": {said}" if said else "")
        if foreign:
            says += " (not one of this lab's tables)"
        return Meaning(says, foreign=foreign, rejects="reject" in f"{text} {step.comment}".split())

    # -- one rule -----------------------------------------------------------------------------------------------------

    def _step(self, netns: str, judgement: Judgement, step: Step, packet: Packet) -> Meaning | None:
        if not step.handle:
            return None
        comment = step.comment
        if comment.startswith("netpol:"):
            says, mark, policy = self._comments.get(comment, (comment, None, comment.removeprefix("netpol:")))
            text = self.rule_text(netns, judgement, step)
            return Meaning(says, mark, policy, rejects="reject" in text or self._rejects(comment))
        if comment.startswith("hostport:") and step.verdict != "jump":
            return self._pod(comment.removeprefix("hostport:"), "hostPort of Pod")
        if comment.startswith("underlay:"):
            node = comment.removeprefix("underlay:")
            says = f"the underlay takes from node {node} only packets whose source is the node's own address"
            return Meaning(says, self._cluster.underlay.mark)
        if judgement.table == KUBE_PROXY:
            return self._kube_proxy(step, packet)
        if judgement.table == policytext.TABLE and step.verdict == "accept":
            text = self.rule_text(netns, judgement, step)
            if text.startswith("ct "):
                return Meaning("belongs to a connection that was let in")
            return Meaning("neighbour discovery is let through" if "icmpv6" in text else "let through")
        if judgement.hook == "postrouting" and not self.foreign(netns, judgement):
            return self._leaving(netns, judgement, step)
        if judgement.table == "underlay" and step.verdict == "drop":
            says = f"the router has no route to {packet.target}, and says so"
            return Meaning(says, self._cluster.underlay.mark, rejects=True)
        return None

    def _rejects(self, comment: str) -> bool:
        return comment.startswith("netpol:deny ") and self._cluster.deny == "reject"

    def _leaving(self, netns: str, judgement: Judgement, step: Step) -> Meaning | None:
        """Masquerading of what leaves the Pods' network: each data plane's own table."""
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
            return Meaning("masqueraded: the answer must come back by this node")
        if step.chain == "cluster-ips-check" and step.verdict == "drop":
            if step.comment.startswith("Reject"):
                return self._no_endpoints(packet, f"has no port {packet.dport}")._replace(rejects=True)
            return Meaning(f"no Service has the address {packet.target}")
        if step.chain.startswith("firewall-") and step.verdict == "drop":
            return Meaning("its source is in none of them")
        if step.verdict == "drop":
            inside = any(packet.target in map(str, one.cluster_ips) for one in self._cluster.services)
            policy = "internalTrafficPolicy" if inside else "externalTrafficPolicy"
            return self._no_endpoints(packet, f"has no endpoint on this node, and its {policy} is Local")
        return None

    def _service(self, base: str) -> tuple[Service | None, str]:
        """The Service that a chain's base name (``HASH-ns/name/tcp/port``) is of, and the port's name."""
        parts = base.partition("-")[2].split("/")
        if len(parts) < 4:
            return None, ""
        wanted = f"{parts[0]}/{parts[1]}"
        return next((one for one in self._cluster.services if str(one) == wanted), None), parts[3]

    def _no_endpoints(self, packet: Packet, says: str) -> Meaning:
        version = 6 if ":" in packet.target else 4
        for service in self._cluster.services:
            addresses = {str(one) for one in (*service.cluster_ips, *service.outside_ips)}
            for place, port in enumerate(service.ports):
                at_node = bool(port.node_port) and port.node_port == packet.dport
                if (packet.target in addresses and port.port == packet.dport) or at_node:
                    why = f": {why_none(self._cluster, service, place, version)}" if says == _NOBODY else ""
                    text = f"Service {service} port {port} {says}{why}"
                    return Meaning(text, port.mark or service.mark, "", str(service))
            if packet.target in addresses:
                return Meaning(f"Service {service} {says}", service.mark, "", str(service))
        return Meaning(f"the Service at {packet.target} {says}")

    def _backend(self, address: str) -> str:
        shown = address.replace(".", ":") if address.count(".") > 3 or ".." in address else address
        for pod in self._cluster.pods:
            if any(str(one.ip) == shown for one in pod.addresses):
                return f"{pod} {shown}"
        return shown

    def _pod(self, name: str, what: str) -> Meaning:
        pod = next((one for one in self._cluster.pods if str(one) == name), None)
        return Meaning(f"{what} {name}", pod.mark if pod else None)


def _front(base: str) -> str:
    parts = base.partition("-")[2].split("/")
    if len(parts) < 4:
        return base
    return f"{parts[0]}/{parts[1]} port {parts[3] or parts[2]}"


def _mark(service: Service | None, port: str) -> Mark | None:
    if service is None:
        return None
    return next((one.mark for one in service.ports if one.name == port and one.mark), service.mark)


def _ending(judgement: Judgement) -> Step | None:
    """The step that decided."""
    steps: Iterator[Step] = reversed(judgement.steps)
    return next((one for one in steps if one.verdict not in ("continue", "jump", "goto", "return")), None)


def place(mark: Mark | None) -> str:
    """``(lab.yaml:12)``, or nothing."""
    return f"({mark.file}:{mark.line})" if mark else ""
