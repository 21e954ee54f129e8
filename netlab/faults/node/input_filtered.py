"""A host firewall drops what Pods send to their node."""

from __future__ import annotations

from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, node_of, nodes, of_pod
from netlab.model import Cluster, Node
from netlab.objects import State


def _drop(_: Cluster, state: State, node: Node) -> State:
    rules = ("ct state established,related accept", "meta l4proto tcp counter drop")
    return with_rules(state, node.netns, "inet", "host-firewall", "filter input 0", *rules)


def _control(cluster: Cluster, at: str) -> Control | None:
    node = node_of(cluster, at)
    pod = next((pod for pod in cluster.own_pods if pod.node == at and not pod.host_network), None)
    if node is None or pod is None:
        return None
    return Control(of_pod(pod), f"node/{at}", "10250/TCP", broken=(TIMEOUT,))


FAULT = Fault(
    id="input-filtered",
    symptom="Pods do not reach ports of this node: kubelet, metrics, Pods with hostNetwork; a closed port does not even refuse",
    cause="the node's firewall drops TCP to the node itself",
    level=1,
    source="k3s-io/k3s#1719",
    look_alikes=("node-ports-filtered",),
    requires="a Pod on the node",
    places=nodes,
    control=_control,
    on_state=at_node(_drop),
)
