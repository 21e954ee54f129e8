"""Services with their backends, and policies with the Pods that they select."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.graph.wiring import texts
from netlab.model import Cluster
from netlab.model.cluster.policies import EGRESS, INGRESS, Block, Peer, PodPeer, Policy
from netlab.model.cluster.tiers import LAST, TierPolicy
from netlab.model.selection import Selection
from netlab.output import graph as output
from netlab.output.places import place


def services(cluster: Cluster) -> Iterable[output.Service]:
    """The Services; of each the backends of all its addresses."""
    for service in cluster.services:
        yield output.Service(
            namespace=service.namespace,
            name=service.name,
            type=service.kind,
            headless=service.headless,
            system=service.system,
            cluster_ips=texts(service.cluster_ips),
            external_ips=texts(service.external_ips),
            load_balancer_ips=texts(service.load_balancer_ips),
            external_name=service.external_name or None,
            selector=service.selector,
            ports=tuple(
                output.ServicePort(
                    name=port.name or None,
                    port=port.port,
                    protocol=port.protocol,
                    target=port.target,
                    node_port=port.node_port or None,
                )
                for port in service.ports
            ),
            backends=tuple(
                output.Backend(
                    address=str(backend.address),
                    ports=backend.ports,
                    pod=backend.pod or None,
                    node=backend.node or None,
                    ready=service.counts_ready(backend),
                    serving=backend in service.serving,
                )
                for backend in service.backends
            ),
            external_traffic_local=service.external_local,
            internal_traffic_local=service.internal_local,
            **place(service.mark),
        )


def policies(cluster: Cluster) -> Iterable[output.Policy]:
    """The NetworkPolicies with their rules."""
    selection = Selection(cluster)
    for policy in cluster.network_policies:
        yield output.Policy(
            namespace=policy.namespace,
            name=policy.name,
            selector=str(policy.pods),
            pods=texts(selection.members(policy.subject)),
            ingress=policy.ingress is not None,
            egress=policy.egress is not None,
            rules=_rules(policy, selection),
            **place(policy.mark),
        )


def tiers(cluster: Cluster) -> Iterable[output.TierPolicy]:
    """The policies of tiers, in the order in which they are asked."""
    selection = Selection(cluster)
    for policy in cluster.tiers:
        yield output.TierPolicy(
            kind=policy.kind,
            name=policy.name,
            tier=policy.tier,
            priority=policy.priority if policy.priority < LAST else None,
            subject=str(policy.subject),
            pods=texts(selection.members(policy.subject)),
            rules=_rules(policy, selection),
            **place(policy.mark),
        )


def _rules(policy: Policy | TierPolicy, selection: Selection) -> tuple[output.Rule, ...]:
    return tuple(
        output.Rule(
            rule=str(rule),
            direction=rule.direction,
            peers=tuple(_peer(peer, selection) for peer in rule.peers),
            ports=texts(rule.ports),
            action=policy.action(rule) if isinstance(policy, TierPolicy) else None,
            title=rule.name or None,
            **place(rule.mark),
        )
        for direction in (INGRESS, EGRESS)
        for rule in policy.rules(direction) or ()
    )


def _peer(peer: Peer, selection: Selection) -> output.Peer:
    if isinstance(peer, Block):
        return output.Peer(text=str(peer), pods=(), cidr=str(peer.cidr), excepts=texts(peer.excepts))
    members = selection.members(peer) if isinstance(peer, PodPeer) else ()
    return output.Peer(text=str(peer), pods=texts(members), cidr=None, excepts=())
