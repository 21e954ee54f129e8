"""A NetworkPolicy as kubectl describes it, and below that what it comes to in this lab: whom it selects, whom each of
its rules means, and how many packets the rule has allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds.kind import AGE, NAME, Column, Item, Kind
from netlab.cli.kinds.lines import annotation_lines, field, label_lines
from netlab.cli.kinds.metadata import filled, with_uids, written
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import stamp
from netlab.cli.selectors import written as selector_text

if TYPE_CHECKING:
    from netlab.model import Cluster, Pod
    from netlab.model.cluster.policies import LabelSelector, Policy, PortMatch, Rule
    from netlab.model.cluster.tiers import TierPolicy
    from netlab.model.selection import Selection

_WIDTH = 14
_DONE = {"Allow": "allowed", "Deny": "denied", "Pass": "passed on"}
_SHOWN = 4  # Pods that a line names before it only counts
_UNENFORCED = {
    "type": "Accepted",
    "status": "False",
    "reason": "NotEnforced",
    "message": "netlab makes no rules of policies in this lab: spec.policy.enforce is none",
}
_ISOLATED = "<none> (Selected pods are isolated for {} connectivity)"


@with_uids
def policies(request: Request) -> list[Item]:
    """All NetworkPolicies; where netlab enforces none, their status says so, as the API's once could."""
    items = filled(written(request, "NetworkPolicy", "networking.k8s.io"), request.running)
    if not request.running.cluster.enforced:
        for item in items:
            item["status"] = {"conditions": [_UNENFORCED]}
    return items


def _describe(request: Request, items: Sequence[Item]) -> Iterator[Iterable[str]]:
    from netlab.model.selection import Selection

    running = request.running
    cluster = running.cluster
    policies = {(policy.namespace, policy.name): policy for policy in cluster.network_policies}
    selection, packets = Selection(cluster), packets_by_rule(cluster) if items else {}
    for item in items:
        policy = policies[item["metadata"]["namespace"], item["metadata"]["name"]]
        born = running.born("NetworkPolicy", policy.namespace, policy.name)
        yield description(policy, item, selection, packets, born)


def packets_by_rule(cluster: Cluster) -> dict[str, int]:
    """Packets that rules have matched, by the rule's comment, of all nodes."""
    from netlab.kernel.nftables import counters
    from netlab.plan.policytext import TABLE

    total: dict[str, int] = {}
    for by_comment in counters.of_namespaces(TABLE, [node.netns for node in cluster.nodes]).values():
        for comment, packets in by_comment.items():
            total[comment] = total.get(comment, 0) + packets
    return total


def description(
    policy: Policy, body: Mapping[str, Any], selection: Selection, packets: Mapping[str, int], since: float
) -> list[str]:
    """The lines.  ``body`` is the object as it was written, ``packets`` what ``packets_by_rule`` returns."""
    metadata = body.get("metadata", {})
    lines = [
        field("Name", policy.name, _WIDTH),
        field("Namespace", policy.namespace, _WIDTH),
        f"{'Created on:':<{_WIDTH}}{stamp(since).replace('T', ' ').replace('Z', ' +0000 UTC')}",
        *label_lines(metadata.get("labels", {}), _WIDTH),
        *annotation_lines(metadata.get("annotations", {}), _WIDTH),
        "Spec:",
        f"  PodSelector:     {_selector(policy.pods, '<none> (Allowing the specific traffic to all pods in this namespace)')}",
    ]
    types = []
    for direction, peers in (("ingress", "From"), ("egress", "To")):
        rules = policy.rules(direction)
        if rules is None:
            lines.append(f"  Not affecting {direction} traffic")
            continue
        types.append(direction.capitalize())
        lines.append(f"  Allowing {direction} traffic:")
        lines += [f"    {line}" for line in _rules(rules, direction, peers)]
    lines.append(f"  Policy Types: {', '.join(types)}")
    if "status" in body:
        lines.append(f"{'Enforced:':<{_WIDTH}}no: {_UNENFORCED['message']}")
    return [*lines, *effect(policy, selection, packets)]


def _selector(selector: LabelSelector, everything: str = "<none>") -> str:
    return str(selector) if selector.requirements else everything


def _rules(rules: Sequence[Rule], direction: str, peers: str) -> Iterator[str]:
    if not rules:
        yield _ISOLATED.format(direction)
    for number, rule in enumerate(rules):
        if number:
            yield "----------"
        yield from (f"To Port: {_port(port)}" for port in rule.ports)
        if not rule.ports:
            yield "To Port: <any> (traffic allowed to all ports)"
        for peer in rule.peers:
            yield f"{peers}:"
            yield from (f"  {line}" for line in _peer(peer))
        if not rule.peers:
            yield f"{peers}: <any> (traffic not restricted by {'source' if peers == 'From' else 'destination'})"


def _port(port: PortMatch) -> str:
    return f"<any>/{port.protocol}" if not port.name and port.first is None else str(port)


def _peer(peer: Any) -> Iterator[str]:
    from netlab.model.cluster.policies import Block

    if isinstance(peer, Block):
        yield "IPBlock:"
        yield f"  CIDR: {peer.cidr}"
        yield f"  Except: {', '.join(map(str, peer.excepts))}".rstrip()
        return
    if peer.namespaces is not None:
        yield f"NamespaceSelector: {_selector(peer.namespaces)}"
    if peer.namespaces is None or peer.pods.requirements:
        yield f"PodSelector: {_selector(peer.pods)}"


def effect(policy: Policy | TierPolicy, selection: Selection, packets: Mapping[str, int]) -> Iterator[str]:
    """The effect of the policy in this lab."""
    from netlab.model.cluster.policies import Nodes, PodPeer
    from netlab.plan.policytext import rule_comment

    yield f"{'Selects:':<{_WIDTH}}{_pods(selection.members(policy.subject)) or 'no Pod of this lab'}"
    rules = [*(policy.ingress or ()), *(policy.egress or ())]
    if rules:
        yield "Rules:"
    for rule in rules:
        count = packets.get(rule_comment(policy, rule), 0)
        where = f"  {rule.mark}" if rule.mark else ""
        yield f"  {rule}  {count} {'packet' if count == 1 else 'packets'} {_DONE[rule.action]}{where}"
        for peer in rule.peers:
            if isinstance(peer, PodPeer):
                yield f"    {peer}: {_pods(selection.members(peer)) or 'no Pod'}"
            elif isinstance(peer, Nodes):
                yield f"    {peer}: {', '.join(node.name for node in selection.nodes(peer)) or 'no node'}"
    if policy.mark:
        yield f"{'Source:':<{_WIDTH}}{policy.mark}"


def _pods(pods: Iterable[Pod]) -> str:
    names = [str(pod) for pod in pods]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


_COLUMNS = (
    NAME,
    Column("POD-SELECTOR", lambda item: selector_text(item.get("spec", {}).get("podSelector", {}))),
    AGE,
    Column("ENFORCED", lambda item: "no" if "status" in item else "yes"),
)
POLICY = Kind("NetworkPolicy", "networkpolicies", ("netpol",), "networking.k8s.io", policies, _COLUMNS, _describe)
