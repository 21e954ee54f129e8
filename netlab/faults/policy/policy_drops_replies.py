"""Rules of policies judge replies as if they were new connections."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Fault
from netlab.faults.places import TIMEOUT, answered, nodes
from netlab.model import Cluster, Node
from netlab.objects import NftChain, State

_ACCEPT = "ct state established,related accept"


def _forget(_: Cluster, state: State, node: Node) -> State:
    def fits(chain: NftChain) -> bool:
        return (chain.netns, chain.table) == (node.netns, "netlab-policy") and _ACCEPT in chain.rules

    return changed(
        state,
        NftChain,
        fits,
        lambda chain: replace(chain, rules=tuple(rule for rule in chain.rules if rule != _ACCEPT)),
    )


FAULT = Fault(
    id="policy-drops-replies",
    symptom="an isolated Pod of this node gets no answer from anybody, though its egress is free and its ingress rules are right",
    cause="the agent wrote its rules without the first one, which accepts packets of established connections",
    level=3,
    source="cloudnativelabs/kube-router#873",
    look_alikes=("default-deny", "syn-ack-dropped"),
    requires="a Pod of the node that a policy isolates for ingress, and a Pod that it reaches and that may not reach it",
    places=nodes,
    control=lambda cluster, at: answered(cluster, at, broken=(TIMEOUT,)),
    on_state=at_node(_forget),
)
