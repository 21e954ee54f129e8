"""A node has no rules for Services."""

from __future__ import annotations

from netlab.faults.edit import at_node
from netlab.faults.fault import Control, Fault
from netlab.faults.places import nodes, service_from
from netlab.model import Cluster, Node
from netlab.objects import NftChain, NftSet, NftTable, State


def _lose(_: Cluster, state: State, node: Node) -> State:
    return state.without(
        *(
            obj.key
            for obj in state.values()
            if isinstance(obj, (NftTable, NftChain, NftSet)) and obj.netns == node.netns and obj.table == "kube-proxy"
        )
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return service_from(cluster, at, ())


FAULT = Fault(
    id="kube-proxy-rules-missing",
    symptom="no Service works from this node; Pod addresses do",
    cause="kube-proxy does not run on the node, and its rules are gone",
    level=1,
    source="kubernetes.io, debug Services: is kube-proxy working?",
    look_alikes=("untracked", "kube-proxy-stale", "stale-translation"),
    requires="a Service, and a Pod of the node that is none of its backends",
    places=nodes,
    control=_control,
    on_state=at_node(_lose),
)
