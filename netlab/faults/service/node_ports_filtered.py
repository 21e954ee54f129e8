"""A node drops what comes to node ports."""

from __future__ import annotations

from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, nodes, to_node_port
from netlab.model import Cluster, Node
from netlab.objects import State


def _drop(_: Cluster, state: State, node: Node) -> State:
    return with_rules(state, node.netns, "inet", "edge", "filter prerouting -150", "tcp dport 30000-32767 counter drop")


def _control(cluster: Cluster, at: str) -> Control | None:
    for service in cluster.services:
        if control := to_node_port(cluster, str(service), node=at, broken=(TIMEOUT,)):
            return control
    return None


FAULT = Fault(
    id="node-ports-filtered",
    symptom="no node port of this node answers clients outside; those of other nodes do",
    cause="a firewall in front of the rules of Services drops ports 30000 to 32767",
    level=1,
    source="aws/amazon-vpc-cni-k8s#130",
    look_alikes=("external-traffic-local", "node-port-changed"),
    requires="a Service of type NodePort, and a host outside",
    places=nodes,
    control=_control,
    on_state=at_node(_drop),
)
