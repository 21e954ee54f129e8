"""A node hides its Pods behind its own address."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _hide(cluster: Cluster, state: State, node: Node) -> State:
    cidr = next(str(cidr) for cidr in cluster.pod_cidrs if cidr.version == 4)
    rule = f"ip saddr {cidr} ip daddr {cidr} counter masquerade"
    return with_rules(state, node.netns, "ip", "nat", "nat postrouting 90", rule)


def _control(cluster: Cluster, at: str) -> Control | None:
    flow = across(cluster, source=at, broken=())
    return flow._replace(watch="client") if flow else None


FAULT = Fault(
    id="node-masquerades-pods",
    symptom="Pods of other nodes see the address of this node, not that of its Pods: logs and policies by Pod are wrong",
    cause="an old rule of the node masquerades what goes from Pod to Pod",
    level=2,
    source="projectcalico/calico#6235",
    planes=traits.routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_hide),
)
