"""The forwarding entry for another node's tunnel names a wrong address."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, tunnels
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, across, nodes
from netlab.model import Cluster, Node
from netlab.objects import Fdb, State


def _spoil(_: Cluster, state: State, node: Node) -> State:
    devices = {link.dev for link in tunnels(state, node)}
    return changed(
        state,
        Fdb,
        lambda fdb: fdb.netns == node.netns and fdb.dev in devices and "." in fdb.dst,
        lambda fdb: replace(fdb, dst="10.0.2.15"),
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return across(cluster, source=at, broken=(TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="fdb-entry-wrong",
    symptom="Pods of this node reach no Pod of another node; outer packets leave to a strange address",
    cause="the other node announced the address of its NAT interface (10.0.2.15, which every such machine has) as its own",
    level=2,
    source="k3s-io/k3s#72",
    look_alikes=("fdb-entry-missing", "tunnel-source-wrong"),
    planes=traits.static_vxlan,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_spoil),
)
