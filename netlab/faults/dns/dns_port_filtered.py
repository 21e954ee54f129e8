"""A node drops DNS queries of its Pods."""

from __future__ import annotations

from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import node_name, nodes
from netlab.model import Cluster, Node
from netlab.objects import State


def _drop(_: Cluster, state: State, node: Node) -> State:
    rules = ("udp dport 53 counter drop", "tcp dport 53 counter drop")
    return with_rules(state, node.netns, "inet", "dns-guard", "filter prerouting -200", *rules)


def _control(cluster: Cluster, at: str) -> Control | None:
    return node_name(cluster, at)


FAULT = Fault(
    id="dns-port-filtered",
    symptom="Pods of this node resolve no name; by address they reach everything",
    cause="a filter of the node drops what goes to port 53: only its own resolver was to be asked",
    level=2,
    source="kubernetes.io, debugging DNS resolution",
    look_alikes=("dns-server-wrong", "kube-proxy-rules-missing", "egress-without-dns"),
    requires="a Pod of the node, and a Service, in a lab with names",
    places=nodes,
    control=_control,
    on_state=at_node(_drop),
)
