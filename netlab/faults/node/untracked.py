"""Rules take packets out of connection tracking."""

from __future__ import annotations

from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import nodes, service_from
from netlab.model import Cluster, Node
from netlab.objects import State


def _untrack(_: Cluster, state: State, node: Node) -> State:
    return with_rules(state, node.netns, "ip", "raw", "filter prerouting -300", "meta l4proto tcp counter notrack")


def _control(cluster: Cluster, at: str) -> Control | None:
    return service_from(cluster, at, ())


FAULT = Fault(
    id="untracked",
    symptom="Services do not work from Pods of this node, though kube-proxy's rules are right; Pod addresses work",
    cause="a left-over rule (notrack) takes TCP out of connection tracking, without which no address is translated",
    level=3,
    source="kubernetes/kubernetes#71305",
    look_alikes=("kube-proxy-rules-missing", "stale-translation"),
    requires="a Service, and a Pod that is none of its backends",
    places=nodes,
    control=_control,
    on_state=at_node(_untrack),
)
