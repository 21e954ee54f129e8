"""A node does not forward IPv4."""

from __future__ import annotations

from netlab.faults.edit import set_sysctl
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, node_of, nodes
from netlab.model import Cluster
from netlab.objects import State


def _stop(cluster: Cluster, state: State, at: str) -> State:
    node = node_of(cluster, at)
    return set_sysctl(state, node.netns, net__ipv4__ip_forward="0") if node else state


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, target=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="forwarding-off",
    symptom="no Pod of another node reaches the Pods of this node; the node itself reaches them",
    cause="net.ipv4.ip_forward is 0 on the node: a restart of the network, or a hardening script, has set it",
    level=1,
    source="openshift/origin#9931",
    planes=lambda plane: plane.crosses_nodes and not plane.flat,
    requires="Pods on two nodes, and IPv4",
    places=nodes,
    control=_control,
    on_state=_stop,
)
