"""A node does not translate what its Pods send to the world."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, nodes, to_outside
from netlab.model import Cluster, Node
from netlab.objects import NftChain, State


def _lose(cluster: Cluster, state: State, node: Node) -> State:
    tables = cluster.plane.nft_tables
    return changed(
        state,
        NftChain,
        lambda chain: chain.netns == node.netns and chain.table in tables,
        lambda chain: replace(chain, rules=tuple(rule for rule in chain.rules if "masquerade" not in rule)),
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_outside(cluster, at, (TIMEOUT,))


FAULT = Fault(
    id="masquerade-missing",
    symptom="Pods of this node get no reply from outside the cluster; the node itself does",
    cause="the node does not masquerade its Pods' packets: they leave with a Pod's address, to which nobody outside has a route",
    level=2,
    source="kubernetes/kops#710",
    look_alikes=("default-route-missing", "outside-taken-for-pods"),
    requires="a host outside that serves a port",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
