"""Rules do not see what passes inside a bridge."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_node
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, nodes, service_from
from netlab.model import Cluster, Node
from netlab.objects import State, Sysctl


def _stop(_: Cluster, state: State, node: Node) -> State:
    path = "net.bridge.bridge-nf-call-iptables"
    return state.replace(Sysctl(node.netns, path, "0", why=WHY))


def _control(cluster: Cluster, at: str) -> Control | None:
    return service_from(cluster, at, (TIMEOUT,), beside=True)


FAULT = Fault(
    id="bridge-netfilter-off",
    symptom="a Service is silent from Pods of the node on which its backend runs; from other nodes it works",
    cause="net.bridge.bridge-nf-call-iptables is 0: replies cross the bridge untranslated, from an address that the client did not ask",
    level=3,
    source="kubernetes/kubernetes#38802",
    look_alikes=("hairpin-off",),
    planes=traits.bridged,
    needs=("br_netfilter",),
    requires="a Service with its backends on one node, and another Pod there",
    places=nodes,
    control=_control,
    on_state=at_node(_stop),
)
