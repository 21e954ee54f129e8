"""Nobody enforces policies on a node."""

from __future__ import annotations

from netlab.faults.edit import at_node
from netlab.faults.fault import Control, Fault
from netlab.faults.places import denied_by, nodes
from netlab.model import Cluster, Node
from netlab.objects import NftChain, NftSet, NftTable, State


def _ignore(_: Cluster, state: State, node: Node) -> State:
    return state.without(
        *(
            obj.key
            for obj in state.values()
            if isinstance(obj, (NftTable, NftChain, NftSet))
            and obj.netns == node.netns
            and obj.table == "netlab-policy"
        )
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    for each in cluster.network_policies:
        control = denied_by(cluster, str(each), node=at)
        if control:
            return control
    return None


FAULT = Fault(
    id="policy-not-enforced",
    symptom="policies have no effect for the Pods of this node; they are there, and right",
    cause="the agent that turns policies into rules does not run on the node, or the CNI knows no policies",
    level=2,
    source="k3s-io/k3s#445",
    look_alikes=("policy-selects-nothing", "policy-in-other-namespace"),
    requires="a NetworkPolicy that denies something to a Pod of the node",
    places=nodes,
    control=_control,
    on_state=at_node(_ignore),
)
